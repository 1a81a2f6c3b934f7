//! The command line. Talks to the daemon through its socket, never to its insides.
