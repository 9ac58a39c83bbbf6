import Glibc

/// Names elections so that all processes of this machine that take part in one find each other.
public protocol ElectionNaming: Sendable {
    /// The server URL, without credentials.
    var server: ServerURL { get }

    /// Texts that name an election as every process of this machine that takes part in it does, the preferred one first. The processes of its earlier
    /// terms are found by them.
    func electionKeys(_ name: String) -> [String]

    /// Names the election alone, however its servers are named. Processes that are no longer guarded, and whose servers were named in another way, are
    /// found by it.
    func electionKind(_ name: String) -> String
}

extension ElectionNaming {
    public func electionKeys(_ name: String) -> [String] { [networkElectionKey(name)] }

    public func electionKind(_ name: String) -> String { "\(server.system.name) \(name)" }

    /// Names an election of a system that is reached over a network.
    /// - Parameter name: the election, with everything but the servers that distinguishes it.
    public func networkElectionKey(_ name: String) -> String {
        // The servers of a cluster can be listed in any order. One address is another server in another network namespace.
        let hosts = server.hosts.map(\.description).sorted().joined(separator: ",")
        var network = stat()
        let isKnown = stat("/proc/self/ns/net", &network) == 0
        return "\(server.system.name) \(hosts) \(server.path) \(name) \(isKnown ? network.st_ino : 0)"
    }
}
