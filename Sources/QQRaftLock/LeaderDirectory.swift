/// The Raft leader as a follower names it.
struct LeaderPointer: Sendable, Hashable {
    var nodeID: String?
    /// The address at which the nodes reach it, usually not the one for clients.
    var address: String?
}

/// The configured endpoints: which of them is the Raft leader, as far as is known, and which node is behind each. Pure.
struct LeaderDirectory: Sendable, Hashable {
    /// The endpoints as host:port.
    let addresses: [String]
    /// The endpoint that last did something that only the Raft leader does.
    private(set) var leader: Int?
    /// The endpoint to ask first while no leader is known.
    private(set) var start = 0
    private var nodeIDs: [Int: String] = [:]

    init(_ addresses: [String]) { self.addresses = addresses }

    /// Whether the node behind each endpoint is known.
    var isComplete: Bool { nodeIDs.count == addresses.count }

    func nodeID(at index: Int) -> String? { nodeIDs[index] }

    /// The endpoint reported the id of its node.
    mutating func identified(_ nodeID: String, at index: Int) {
        // Nodes move: a node found at a new endpoint is no longer at the old one.
        for (other, id) in nodeIDs where id == nodeID && other != index { nodeIDs[other] = nil }
        nodeIDs[index] = nodeID.isEmpty ? nil : nodeID
    }

    /// The endpoint did something that only the Raft leader does.
    mutating func served(at index: Int) {
        leader = index
        start = index
    }

    /// The endpoint is not the leader or cannot be reached.
    mutating func lost(at index: Int) {
        if leader == index { leader = nil }
        if start == index { start = (index + 1) % max(addresses.count, 1) }
    }

    /// The endpoint that `pointer` refers to; nil if it is not among the configured ones or not yet known.
    func endpoint(of pointer: LeaderPointer) -> Int? {
        if let nodeID = pointer.nodeID, let index = nodeIDs.first(where: { $0.value == nodeID })?.key { return index }
        // The address is usually the one among the nodes, but a server can be configured to name the one for clients.
        return pointer.address.flatMap { addresses.firstIndex(of: $0) }
    }

    /// The endpoints, the likeliest leader first.
    var order: [Int] {
        let first = leader ?? start
        return addresses.indices.map { (first + $0) % addresses.count }
    }
}

/// The path of one call to the Raft leader: which endpoint to ask next. Redirects can contradict each other and form loops. Each endpoint is therefore
/// asked at most twice: in its turn, and once more if another endpoint names it. Pure.
struct LeaderSearch: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        case ask(Int)
        /// Ask the endpoints for the ids of their nodes, and continue with `identified`.
        case identify
        /// Ask at an address outside the configured endpoints.
        case askStranger(String)
        case giveUp
    }

    /// Why an endpoint did not carry out the call.
    enum Answer: Sendable, Hashable {
        case notLeader(LeaderPointer)
        case noLeader
        /// Nothing was sent.
        case unreachable
    }

    private let followsRedirects: Bool
    private var asked: [Int: Int] = [:]
    private var unreachable: Set<Int> = []
    private var strangers: Set<String> = []
    private var hasIdentified = false
    /// The leader that the last answer named.
    private(set) var pointer: LeaderPointer?

    /// - Parameter followsRedirects: whether a leader outside the configured endpoints is asked at the address that other nodes name.
    init(followsRedirects: Bool) { self.followsRedirects = followsRedirects }

    mutating func begin(_ directory: LeaderDirectory) -> Step { untried(directory) }

    /// - Parameter index: the endpoint that answered; nil for one outside the configured endpoints.
    mutating func next(after answer: Answer, from index: Int?, _ directory: LeaderDirectory) -> Step {
        switch answer {
        case .unreachable:
            if let index { unreachable.insert(index) }
            return untried(directory)
        case .noLeader: return untried(directory)
        case .notLeader(let pointer):
            self.pointer = pointer
            return follow(pointer, directory)
        }
    }

    /// The ids of the nodes have been requested.
    mutating func identified(_ directory: LeaderDirectory) -> Step {
        guard let pointer else { return untried(directory) }
        return follow(pointer, directory)
    }

    /// The number of endpoints that were not asked yet.
    func left(of directory: LeaderDirectory) -> Int { directory.addresses.count - asked.count }

    private mutating func follow(_ pointer: LeaderPointer, _ directory: LeaderDirectory) -> Step {
        if let index = directory.endpoint(of: pointer) {
            if !unreachable.contains(index), asked[index, default: 0] < 2 { return ask(index) }
            return untried(directory)
        }
        if !hasIdentified, pointer.nodeID != nil {
            hasIdentified = true
            return .identify
        }
        if followsRedirects, let address = pointer.address, strangers.insert(address).inserted, strangers.count <= 2 {
            return .askStranger(address)
        }
        return untried(directory)
    }

    private mutating func untried(_ directory: LeaderDirectory) -> Step {
        directory.order.first { asked[$0] == nil }.map { ask($0) } ?? .giveUp
    }

    private mutating func ask(_ index: Int) -> Step {
        asked[index, default: 0] += 1
        return .ask(index)
    }
}
