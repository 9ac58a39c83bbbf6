/// What an API client needs to know of the program that uses it.
public struct ClientSurroundings: Sendable {
    /// The value of `User-Agent`.
    public var userAgent: String
    /// The limit for one request. An exec plugin can run for this long, but at least for 30 s, and for 5 minutes while it has the terminal.
    public var requestTimeout: Duration
    /// Whether an exec plugin can have the terminal to ask the user, if stdin and stderr are one. False for programs that use the terminal for something else
    /// or are not waited for: guarded commands, sessions, live views.
    public var lendsTerminal: Bool
    /// Called with each line that an exec plugin without the terminal prints on stderr, safe to show. Called on any thread, so it must not block.
    public var report: @Sendable (String) -> Void

    public init(
        userAgent: String = "qq", requestTimeout: Duration, lendsTerminal: Bool = false,
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.userAgent = userAgent
        self.requestTimeout = requestTimeout
        self.lendsTerminal = lendsTerminal
        self.report = report
    }
}
