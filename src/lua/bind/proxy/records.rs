//! Options and answers.

use crate::lua::bind::{Field, Record, Type};

const TEXTS: Type = Type::List(&Type::String);
const TIMEOUT: Field =
    Field::optional("timeout", Type::Duration, "Of the whole call; 5s unless said otherwise, 1m at most");
const BACKEND_NAME: Field = Field::required("backend", Type::String, "The backend");
const SERVER_NAME: Field = Field::required("server", Type::String, "The server");
const PLAN: Field = Field::optional("plan", Type::String, "Of a dry run: what would have been done");

const fn count(name: &'static str, doc: &'static str) -> Field {
    Field::required(name, Type::Integer, doc)
}

const fn perhaps(name: &'static str, doc: &'static str) -> Field {
    Field::optional(name, Type::Integer, doc)
}

pub const LOOK: Record = Record { name: "ProxyLook", doc: "How long to wait.", fields: &[TIMEOUT] };
pub const CHANGE: Record =
    Record { name: "ProxyChange", doc: "How something is changed.", fields: &[TIMEOUT, Field::DRY_RUN] };
pub const REMOVE: Record =
    Record { name: "ProxyRemove", doc: "How something is taken away.", fields: &[Field::DRY_RUN] };
pub const DRAIN: Record = Record {
    name: "ProxyDrain",
    doc: "How long to wait for the last request.",
    fields: &[Field::optional("timeout", Type::Duration, "30s unless said otherwise, 1h at most"), Field::DRY_RUN],
};

pub const ENTRY: Record = Record {
    name: "ProxyEntry",
    doc: "A load balancer of the configuration.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("kind", Type::Choice(&["haproxy", "traefik"]), "What it is"),
        Field::optional("access", Type::String, "read, write or admin, as this job may use it; nil when it may not"),
    ],
};

pub const INFO: Record = Record {
    name: "ProxyInfo",
    doc: "What a load balancer says of itself. Numbers are HAProxy's; the folder and the services are Traefik's.",
    fields: &[
        Field::required("kind", Type::Choice(&["haproxy", "traefik"]), "What it is"),
        Field::optional("version", Type::String, "Its version"),
        Field::optional("node", Type::String, "The name of its machine"),
        perhaps("pid", "Its process"),
        perhaps("uptime_seconds", "Since it began"),
        perhaps("connections", "That are open"),
        perhaps("connections_max", "That may be open"),
        perhaps("requests", "Since it began"),
        Field::optional("stopping", Type::Boolean, "It was told to end, and does so with its last connection"),
        Field::optional("directory", Type::String, "The folder that is written"),
        Field::optional("services", TEXTS, "The sets of services that were written"),
    ],
};

pub const SERVER: Record = Record {
    name: "ProxyServer",
    doc: "A server of a HAProxy. Counts are since it began, times averages of the latest 1024 requests.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        BACKEND_NAME,
        Field::optional("address", Type::String, "Its address; nil for a socket"),
        perhaps("port", "Its port"),
        Field::required("state", Type::Choice(&["ready", "drain", "maint"]), "What it may have"),
        Field::required("up", Type::Boolean, "Whether it works, as far as it is checked"),
        Field::required("status", Type::String, "HAProxy's own word: UP, DOWN, DRAIN, MAINT, no check …"),
        count("weight", "Its weight"),
        count("weight_initial", "Its weight in HAProxy's configuration"),
        Field::required("backup", Type::Boolean, "Whether it gets requests only when the others are down"),
        count("sessions", "Requests that it works on; connections in TCP mode"),
        count("sessions_max", "The most there were at once"),
        count("queue", "Requests that wait for it"),
        count("requests", "Requests that it got; connections in TCP mode"),
        count("errors", "Connections and answers that failed"),
        count("errors_connect", "Connections that failed"),
        count("errors_response", "Answers that failed"),
        count("retries", "Connections that were tried again"),
        count("redispatches", "Requests that went to another server because this one could not be reached"),
        perhaps("status_1xx", "Answers with these statuses; nil in TCP mode, as are the next"),
        perhaps("status_2xx", "Good answers"),
        perhaps("status_3xx", "Redirections"),
        perhaps("status_4xx", "Mistakes of clients"),
        perhaps("status_5xx", "Mistakes of the server"),
        count("bytes_in", "From clients"),
        count("bytes_out", "To clients"),
        perhaps("queue_ms", "Time in the queue"),
        perhaps("connect_ms", "Time until the connection"),
        perhaps("response_ms", "Time until the answer begins"),
        perhaps("total_ms", "Time of all of it"),
        Field::optional("check", Type::String, "What the latest check came to: L7OK, L4CON …; nil without checks"),
        Field::optional("check_text", Type::String, "What it says of that"),
        perhaps("check_ms", "How long the latest check took"),
        count("check_failures", "Checks that failed"),
        count("downs", "How often it went down"),
        count("last_change_seconds", "Since it went up or down"),
        count("downtime_seconds", "How long it was down in all"),
    ],
};

pub const BACKEND: Record = Record {
    name: "ProxyBackend",
    doc: "A backend of a HAProxy. Counts are since it began, times averages of the latest 1024 requests.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("mode", Type::String, "http or tcp"),
        Field::optional("algorithm", Type::String, "How it chooses a server: roundrobin, leastconn …"),
        Field::required("up", Type::Boolean, "Whether any server takes requests"),
        Field::required("status", Type::String, "HAProxy's own word: UP or DOWN"),
        count("servers", "Its servers"),
        count("servers_up", "Those that take requests"),
        count("weight", "The weights of those together"),
        count("sessions", "Requests that are under way; connections in TCP mode"),
        count("queue", "Requests that wait for any server"),
        count("requests", "Requests that came; connections in TCP mode"),
        count("errors", "Connections and answers that failed"),
        count("errors_connect", "Connections that failed"),
        count("errors_response", "Answers that failed"),
        count("retries", "Connections that were tried again"),
        count("redispatches", "Requests that went to another server"),
        perhaps("status_1xx", "Answers with these statuses; nil in TCP mode, as are the next"),
        perhaps("status_2xx", "Good answers"),
        perhaps("status_3xx", "Redirections"),
        perhaps("status_4xx", "Mistakes of clients"),
        perhaps("status_5xx", "Mistakes of servers, and of HAProxy that had none"),
        count("bytes_in", "From clients"),
        count("bytes_out", "To clients"),
        perhaps("queue_ms", "Time in the queue"),
        perhaps("connect_ms", "Time until the connection"),
        perhaps("response_ms", "Time until the answer begins"),
        perhaps("total_ms", "Time of all of it"),
        count("last_change_seconds", "Since it went up or down"),
        count("downtime_seconds", "How long it was down in all"),
    ],
};

pub const CHANGED: Record = Record {
    name: "ProxyChanged",
    doc: "How it was and how it is.",
    fields: &[
        BACKEND_NAME,
        SERVER_NAME,
        Field::required("before", Type::String, "What it was"),
        Field::required("after", Type::String, "What it is"),
        Field::required("changed", Type::Boolean, "Whether that is something else"),
        PLAN,
    ],
};

pub const DRAINED: Record = Record {
    name: "ProxyDrained",
    doc: "A server that has nothing to do any more.",
    fields: &[
        BACKEND_NAME,
        SERVER_NAME,
        count("waited_ms", "How long that took"),
        count("sessions_before", "Requests that it had when it took its last new one"),
        PLAN,
    ],
};

pub const SERVICE: Record = Record {
    name: "ProxyService",
    doc: "A service and its part of the requests.",
    fields: &[
        Field::optional("name", Type::String, "Its number in the list unless said otherwise"),
        Field::optional("url", Type::String, "Its server, such as `http://10.0.0.5:8080`"),
        Field::optional("urls", TEXTS, "Several servers, which share its part"),
        Field::optional(
            "weight",
            Type::Integer,
            "Its part against those of the others; 1 unless said otherwise, 1000 at most",
        ),
    ],
};

const STICKY: Record = Record {
    name: "ProxySticky",
    doc: "A cookie that keeps a client with the service that it had first.",
    fields: &[
        Field::required("cookie", Type::String, "Its name"),
        Field::optional("secure", Type::Boolean, "Over TLS only"),
        Field::optional("http_only", Type::Boolean, "Out of reach of the page's scripts; true unless said otherwise"),
        Field::optional("same_site", Type::Choice(&["lax", "strict", "none"]), "With which requests it is sent"),
    ],
};

const HEALTH: Record = Record {
    name: "ProxyHealth",
    doc: "What Traefik asks the servers; one that fails gets no requests.",
    fields: &[
        Field::required("path", Type::String, "Such as `/health`"),
        Field::optional("interval", Type::Duration, "5s unless said otherwise"),
        Field::optional("timeout", Type::Duration, "3s unless said otherwise; less than the interval"),
    ],
};

const ROUTE: Record = Record {
    name: "ProxyRoute",
    doc: "Requests with a header or a cookie of this value go to one service, whatever the weights.",
    fields: &[
        Field::required("to", Type::String, "The service's name"),
        Field::optional("header", Type::String, "The header's name"),
        Field::optional("cookie", Type::String, "Or the cookie's"),
        Field::required("value", Type::String, "The whole value"),
    ],
};

pub const SET_SERVICES: Record = Record {
    name: "ProxySetServices",
    doc: "What else is said of a set of services.",
    fields: &[
        Field::optional("rule", Type::String, "Which requests, in Traefik's words: Host(`shop.example.com`)"),
        Field::optional("entry_points", TEXTS, "Of the router; all unless said otherwise"),
        Field::optional("middlewares", TEXTS, "Of the router"),
        Field::optional("priority", Type::Integer, "Of the router; the length of the rule unless said otherwise"),
        Field::optional("tls", Type::Boolean, "The router is for TLS"),
        Field::optional("cert_resolver", Type::String, "Who gets the certificate; the router is for TLS then"),
        Field::optional("sticky", Type::Record(&STICKY), "Keeps clients with the service that they had first"),
        Field::optional("health", Type::Record(&HEALTH), "What Traefik asks the servers"),
        Field::optional(
            "routes",
            Type::List(&Type::Record(&ROUTE)),
            "Requests that go to one service, the first first",
        ),
        Field::DRY_RUN,
    ],
};

pub const WRITTEN: Record = Record {
    name: "ProxyWritten",
    doc: "What became of a file.",
    fields: &[
        Field::required("name", Type::String, "The set's name"),
        Field::required("file", Type::String, "The file"),
        Field::required("changed", Type::Boolean, "Whether it was another one before"),
        Field::required("text", Type::String, "What is in it"),
        PLAN,
    ],
};

const SHARE: Record = Record {
    name: "ProxyShare",
    doc: "A service of a set.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("urls", TEXTS, "Its servers"),
        count("weight", "Its weight"),
    ],
};

pub const SERVICES: Record = Record {
    name: "ProxyServices",
    doc: "A set of services as it was written.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("file", Type::String, "Its file"),
        Field::required("services", Type::List(&Type::Record(&SHARE)), "Its services"),
        Field::optional("rule", Type::String, "The router's rule"),
        Field::optional("cookie", Type::String, "The cookie that keeps clients with a service"),
    ],
};

pub const REMOVED: Record = Record {
    name: "ProxyRemoved",
    doc: "Whether there was anything to take away.",
    fields: &[
        Field::required("name", Type::String, "The set's name"),
        Field::required("removed", Type::Boolean, "Whether there was one"),
        PLAN,
    ],
};
