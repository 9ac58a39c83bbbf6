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

    /// The name of the election that is one slot of a name.
    func name(of slot: Slot) -> String

    /// The slot that an election with this name is; nil if it is none.
    func slot(named name: String) -> Slot?
}

extension ElectionNaming {
    public func electionKeys(_ name: String) -> [String] { [networkElectionKey(name)] }

    public func electionKind(_ name: String) -> String { "\(server.system.name) \(name)" }

    public func name(of slot: Slot) -> String { slot.name }

    public func slot(named name: String) -> Slot? { Slot(name: name) }

    /// Names an election of a system that is reached over a network.
    /// - Parameter name: the election, with everything but the servers that distinguishes it.
    public func networkElectionKey(_ name: String) -> String {
        // The servers of a cluster can be listed in any order. One address is another server in another network namespace.
        let hosts = server.hosts.map(\.description).sorted().joined(separator: ",")
        return networkElectionKey("\(hosts) \(server.path)", name)
    }

    /// Names an election of a system whose server URL does not name its servers.
    /// - Parameters:
    ///   - cluster: the servers, in the same words in every process that reaches them.
    ///   - name: the election, with everything but the servers that distinguishes it.
    public func networkElectionKey(_ cluster: String, _ name: String) -> String {
        var network = stat()
        let isKnown = stat("/proc/self/ns/net", &network) == 0
        return "\(server.system.name) \(cluster) \(name) \(isKnown ? network.st_ino : 0)"
    }
}
