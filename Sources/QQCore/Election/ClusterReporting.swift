/// Reports on servers and members. Changes nothing.
public protocol ClusterReporting: Sendable {
    /// The status of every endpoint, and of every member if the system knows them.
    func clusterStatus() async -> ClusterReport
}

/// Membership in elections: members can be asked by others how they are.
public protocol Membership: Sendable {
    /// Makes this process a member of the election until it ends.
    func join(_ name: String, as identity: String) async throws(CoordinationError)
}
