/// Reads elections. Changes nothing.
public protocol ElectionReader: Sendable {
    /// Reads an election.
    func read(_ name: String) async throws(CoordinationError) -> ElectionState

    /// The states of elections as they change, the present ones first. Ends only with an error, or when the reading task is cancelled.
    /// - Parameter withRenewals: whether a renewal counts as a change, if the system shows it.
    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error>
}

extension ElectionReader {
    /// The states of elections as they change; a renewal is not a change.
    public func changes(of names: [String]) -> AsyncThrowingStream<ElectionState, any Error> { changes(of: names, withRenewals: false) }
}

/// Lists the elections of a server. Changes nothing.
public protocol ElectionLister: Sendable {
    /// The elections by name: at least those that `filter` admits. A system that cannot filter returns more.
    func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState]

    /// The names of all elections, in the order of `list`.
    func electionNames() async throws(CoordinationError) -> [String]
}

extension ElectionLister {
    /// Every election at the server.
    public func list() async throws(CoordinationError) -> [ElectionState] { try await list(ElectionFilter()) }

    /// For a system that learns no name without the rest of its election.
    public func electionNames() async throws(CoordinationError) -> [String] { try await list().map(\.name) }
}
