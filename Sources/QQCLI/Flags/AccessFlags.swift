import QQCore

/// Getting in: what to log in with, and TLS.
extension Flags {
    static let clusterConfig = Flag<String>(
        "cluster-config", value: "FILE", kind: .file, group: .server,
        help: "A cluster.json of the Go library",
        more: """
            Take server, *NAME*, identity, TTL, renewal, credentials and virtual IP from a `cluster.json`, as the nodes of the Go \
            clustering library have it. *NAME* may then be left out. Flags, and `QQ_SERVER` and `QQ_NATS_...`, come before what the \
            file says. See qq-nats(7).
            """,
        parse: Values.text)

    static let creds = Flag<String>(
        "creds", value: "FILE", kind: .file, group: .access,
        help: "Log in by a .creds file",
        more: "NATS: log in with the JWT and the seed in this `.creds` file. It is read anew for each connection.",
        environment: "QQ_NATS_CREDS", parse: Values.text)

    static let nkey = Flag<String>(
        "nkey", value: "FILE", kind: .file, group: .access,
        help: "Log in by an NKey seed",
        more: "NATS: log in with the user's NKey seed in this file. It is read anew for each connection.",
        environment: "QQ_NATS_NKEY", parse: Values.text)

    static let tlsCA = Flag<String>(
        "tls-ca", value: "FILE", kind: .file, group: .access,
        help: "Authorities to trust, PEM",
        more: """
            Trust the certificate authorities in this PEM file instead of the system's. This and the other TLS flags ask for TLS, also \
            where the URL says `nats://`.
            """,
        parse: Values.text)

    static let tlsCert = Flag<String>(
        "tls-cert", value: "FILE", kind: .file, group: .access,
        help: "Our own certificate, PEM",
        more: "Our own certificate as a PEM file, for servers that ask for one.",
        parse: Values.text)

    static let tlsKey = Flag<String>(
        "tls-key", value: "FILE", kind: .file, group: .access,
        help: "The key of our certificate, PEM",
        more: "The key that belongs to `--tls-cert`, as a PEM file; by default it stands in the certificate's own file.",
        parse: Values.text)

    static let tlsName = Flag<String>(
        "tls-name", value: "NAME", kind: .text, group: .access,
        help: "The name in the server's certificate",
        more: "The name that the server's certificate must have, where it is not the host that the URL names.",
        parse: Values.text)

    static let tlsFirst = Flag(
        switch: "tls-first", group: .access,
        help: "NATS: TLS before anything else",
        more: "NATS: begin with TLS before the server has said anything, for servers that are configured with `handshake_first`.")

    static let followRedirects = Flag(
        switch: "follow-redirects", group: .access,
        help: "RaftLock: trust the leader's address",
        more: """
            RaftLock: where the servers name a leader that is none of the URL's, ask it at the address that they give. By default only the \
            servers of the URL are asked; RaftLock's own addresses are often those of its peers, where no locks are served.
            """)

    static let maxMessage = Flag<Int>(
        "max-message", value: "MIB", kind: .count, group: .access,
        help: "gRPC: largest message, in MiB",
        more: "Quorum Quest and RaftLock: the largest message that is sent or taken, in MiB.",
        defaultText: "\(Defaults.maximumMessage)", parse: Values.number(1...256))

    static let metricsFile = Flag<String>(
        "metrics-file", value: "FILE", kind: .file, group: .output,
        help: "gRPC: count calls in FILE",
        more: """
            Quorum Quest and RaftLock: write counts of the calls made, by operation, to this file in the text format of Prometheus: every \
            \(DurationText.format(Defaults.metricsEvery)) and at the end, each time as a whole. The names are in qq-raftlock(7). That it cannot be written is \
            reported and changes nothing.
            """,
        parse: Values.text)

    /// What to log in with, and TLS.
    @FlagListBuilder static var access: [AnyFlag] {
        creds
        nkey
        tlsCA
        tlsCert
        tlsKey
        tlsName
        tlsFirst
        followRedirects
        maxMessage
        metricsFile
    }
}
