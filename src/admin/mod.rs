//! Rank 7: the admin socket: the API for peers with operating-system credentials, and console sessions.
