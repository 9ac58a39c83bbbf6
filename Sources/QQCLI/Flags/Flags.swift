import QQCore

/// Every flag, declared once. ``Commands`` lists the flags of each command.
enum Flags {}

/// The flags of every command that uses a system, and of `qq` itself.
extension Flags {
    static let server = Flag<String>(
        "server", short: "s", value: "URL", kind: .serverURL, group: .server,
        help: "Where the election lives",
        more: """
            Where the election lives, as a server URL such as `file:///var/lib/qq`. Without it and without `QQ_SERVER`, lease files are used: in \
            `/var/lib/qq` for root, in `$XDG_STATE_HOME/qq/leases` for other users. Other systems have URLs such as `nats://a:4222,b:4222`; qq(1) \
            lists them. Contenders exclude each other only if they name the same server: by default root and another user do not.
            """,
        environment: "QQ_SERVER", parse: Values.text)

    static let id = Flag<String>(
        "id", value: "ID", kind: .text, group: .server,
        help: "The identity to use",
        more: """
            The identity to use: 1 to 256 bytes without control characters. The system cannot tell two contenders with one identity apart, so give \
            each its own. By default the identity is made of host name, process ID and a random part.
            """,
        environment: nil, parse: Values.identity)

    static let timeout = Flag<Duration>(
        "timeout", value: "DURATION", kind: .duration, group: .server,
        help: "Limit for one request",
        more: """
            How long one request to the system can take. A request that times out counts as uncertain: it is resolved by reading and, if that is safe, \
            retried; see `--retries`. To limit how long `qq` waits for its turn, use `--wait`.
            """,
        defaultText: DurationText.format(Defaults.requestTimeout), parse: Values.duration(atLeast: Defaults.shortestTimeout))

    static let json = Flag(
        switch: "json", group: .output,
        help: "Print JSON",
        more: """
            Print the answer as one JSON object; `watch` and `keepalive` print one object per line. Keys and types are stable and documented in \
            qq-json(5).
            """)

    static let color = Flag<ColorChoice>(
        "color", value: "WHEN", kind: .choice(ColorChoice.words), group: .output,
        help: "Colour: auto, always or never",
        more: "When output is coloured. `auto` colours output on a terminal, unless `NO_COLOR` is set.",
        defaultText: ColorChoice.auto.rawValue, parse: Values.choice)

    static let quiet = Flag(
        switch: "quiet", short: "q", group: .output,
        help: "Print only errors on stderr",
        more: "Print only errors on stderr. The answer on stdout and the exit code stay the same.")

    static let verbose = Flag(
        switch: "verbose", short: "v", group: .output,
        help: "Report each step on stderr",
        more: "Also report renewals, waits and notices of connections on stderr, each with its time.")

    /// `-h` asks for the short help, `--help` for the long; the parser tells them apart.
    static let help = Flag(
        switch: "help", short: "h", group: .help,
        help: "This help; --help prints more",
        more: "Print help: `-h` prints one line per flag, `--help` everything, with examples.")

    static let version = Flag(
        switch: "version", group: .help,
        help: "Print the version",
        more: "Print the version of `qq`. `qq version` does the same.")

    /// The flags of every command that uses a system. They can also precede the command's name.
    @FlagListBuilder static var global: [AnyFlag] {
        server
        context
        clusterConfig
        id
        timeout
        access
        metricsFile
        json
        color
        quiet
        verbose
        help
    }

    /// The flags of `qq` itself, which precede a command or, with a script, replace it.
    @FlagListBuilder static var topLevel: [AnyFlag] {
        script
        keepGoing
        global
        version
    }
}
