import QQCore

/// Every flag, declared once. Which command takes which is in ``Commands``.
enum Flags {}

/// The flags of every command that talks to a system, and of `qq` itself.
extension Flags {
    static let server = Flag<String>(
        "server", short: "s", value: "URL", kind: .serverURL, group: .server,
        help: "Where the election lives",
        more: """
            Where the election lives, as a server URL such as `file:///var/lib/qq`. Without it and without `QQ_SERVER`, lease files \
            are used: in `/var/lib/qq` for root, else in `$XDG_STATE_HOME/qq/leases`. Other systems have URLs such as \
            `nats://a:4222,b:4222`; qq(1) lists them. Contenders only exclude each other when they \
            name the same place: root and another user do not, by default.
            """,
        environment: "QQ_SERVER", parse: Values.text)

    static let id = Flag<String>(
        "id", value: "ID", kind: .text, group: .server,
        help: "The identity to ask under",
        more: """
            The identity to ask under: 1 to 256 bytes without control characters. Two contenders with one identity are one to the \
            system, so give each its own. By default one is made of host name, process number and a random part.
            """,
        environment: nil, parse: Values.identity)

    static let timeout = Flag<Duration>(
        "timeout", value: "DURATION", kind: .duration, group: .server,
        help: "Limit for one request",
        more: """
            How long one request to the system may take. A request that ran out of time is counted as uncertain, read back and, where \
            that is safe, tried again; see `--retries`. How long to wait for a turn is `--wait`, not this.
            """,
        defaultText: DurationText.format(Defaults.requestTimeout), parse: Values.duration(atLeast: Defaults.shortestTimeout))

    static let json = Flag(
        switch: "json", group: .output,
        help: "Print JSON",
        more: """
            Print the answer as one JSON object; `watch` and `keepalive` print one object a line. Keys and types are stable and written \
            down in qq-json(5).
            """)

    static let color = Flag<ColorChoice>(
        "color", value: "WHEN", kind: .choice(ColorChoice.words), group: .output,
        help: "Colour: auto, always or never",
        more: "Whether output is coloured. `auto` colours on a terminal, unless `NO_COLOR` is set.",
        defaultText: ColorChoice.auto.rawValue, parse: Values.choice)

    static let quiet = Flag(
        switch: "quiet", short: "q", group: .output,
        help: "No messages but errors",
        more: "Print nothing on stderr but errors. The answer on stdout and the exit code stay as they are.")

    static let verbose = Flag(
        switch: "verbose", short: "v", group: .output,
        help: "Tell each step on stderr",
        more: "Tell on stderr what is asked, answered, renewed and retried, and when.")

    /// `-h` asks for the short help, `--help` for the long; the parser tells them apart.
    static let help = Flag(
        switch: "help", short: "h", group: .help,
        help: "This help; --help tells more",
        more: "Print help: `-h` one line a flag, `--help` everything, with examples.")

    static let version = Flag(
        switch: "version", group: .help,
        help: "Print the version",
        more: "Print the version of `qq`. `qq version` does the same.")

    /// What every command takes that talks to a system, and what may stand before a command's name.
    @FlagListBuilder static var global: [AnyFlag] {
        server
        context
        clusterConfig
        id
        timeout
        access
        json
        color
        quiet
        verbose
        help
    }

    /// What `qq` itself takes, before a command or, with a script, without one.
    @FlagListBuilder static var topLevel: [AnyFlag] {
        script
        keepGoing
        global
        version
    }
}
