public import LeaderElection
public import Logging

/// Logs the events of elections, one line each.
///
/// ```swift
/// var options = ElectionOptions()
/// options.observers = [LogObserver(Logger(label: "backup"))]
/// ```
///
/// Every line has the metadata `election`. Elections of the same name on several servers need an observer each. Lines of a term also have `identity` and, if the system has tokens, `token`, until the term has ended.
///
/// | level | events |
/// |---|---|
/// | critical | work runs on after the end of its lease: another process might lead |
/// | error | the lease expired, was taken over or removed, and the work is cancelled for it |
/// | warning | the servers do not answer, or a request about the lease of this process fails; a lease could not be released; work failed after it was cancelled |
/// | notice | elected; released; the servers answer again; a process asks this one to step down; work is cancelled on request |
/// | info | waiting for another leader; another process leads |
/// | debug | a campaign begins; this process is known as the leader; retries; connections |
/// | trace | renewals; still waiting for the same leader |
///
/// Errors have the server URL without its credentials, so no line of this observer has a secret, unless an error of the work has one.
public struct LogObserver: ElectionObserver {
    private let logger: Logger
    private let terms = Terms()

    /// An observer that writes to a logger, whose level decides which events are shown.
    public init(_ logger: Logger) { self.logger = logger }

    /// Logs one event.
    public func observe(_ event: ElectionEvent, of election: String) {
        let line = Line(event)
        var metadata = line.metadata
        metadata["election"] = .string(election)
        let (term, isRepeated) = terms.take(event, of: election)
        if let term {
            metadata["identity"] = .string(term.identity)
            if let token = term.token { metadata["token"] = .stringConvertible(token.value) }
        }
        logger.log(level: level(of: event, line, inTerm: term != nil, isRepeated: isRepeated), line.message, metadata: metadata)
    }

    /// A leader whose renewals fail is about to lose its lease.
    private func level(of event: ElectionEvent, _ line: Line, inTerm: Bool, isRepeated: Bool) -> Logger.Level {
        if isRepeated { return .trace }
        if inTerm, case .retrying = event { return .warning }
        return line.level
    }
}
