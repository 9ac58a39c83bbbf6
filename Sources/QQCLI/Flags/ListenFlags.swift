import QQListen

/// The flag of commands that answer health checks.
extension Flags {
    static let listen = Flag<ListenAddress>(
        "listen", value: "ADDRESS", kind: .text, group: .output,
        help: "Answer health checks over HTTP",
        more: """
            Answer HTTP requests at this address, from the start of `qq` to its end: a *PORT*, an IP address with a port such as `10.0.0.5:8080` or \
            `[::]:8080`, or `unix:`*PATH*. Without an IP address only this machine can ask (127.0.0.1); port 0 is any free port, which is reported on stderr. \
            Requests change nothing, and take no time from renewals: at most 64 are served at a time.

            `GET /leader` is answered with 200 while this process leads and its work may go on, else with 503: from the moment at which a command gets \
            SIGTERM because its lease was not renewed, and before a lease is released. `GET /livez` is answered with 200 unless `qq` has stopped working, \
            `GET /` with the leader and more as JSON, and `GET /metrics` with the metrics of qq-metrics(5). If several elections are held, `?election=`*NAME* \
            chooses one.
            """,
        parse: Values.listenAddress)
}
