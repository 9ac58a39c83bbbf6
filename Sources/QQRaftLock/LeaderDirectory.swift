/// Whom a follower names as the leader.
struct LeaderPointer: Sendable, Hashable {
    var nodeID: String?
    /// Where the nodes reach it: as a rule not where clients do.
    var address: String?
}

/// Which of our endpoints leads, as far as is known, and which node stands behind which. Pure.
struct LeaderDirectory: Sendable, Hashable {
    /// Our endpoints as host:port.
    let addresses: [String]
    /// The endpoint that did last what only a leader does.
    private(set) var leader: Int?
    /// Where to begin while no leader is known.
    private(set) var start = 0
    private var nodeIDs: [Int: String] = [:]

    init(_ addresses: [String]) { self.addresses = addresses }

    /// Whether it is known which node stands behind each endpoint.
    var isComplete: Bool { nodeIDs.count == addresses.count }

    func nodeID(at index: Int) -> String? { nodeIDs[index] }

    /// The endpoint told the id of its node.
    mutating func identified(_ nodeID: String, at index: Int) {
        // Nodes move: one that is found at a new endpoint is no longer at the old one.
        for (other, id) in nodeIDs where id == nodeID && other != index { nodeIDs[other] = nil }
        nodeIDs[index] = nodeID.isEmpty ? nil : nodeID
    }

    /// The endpoint did what only a leader does.
    mutating func served(at index: Int) {
        leader = index
        start = index
    }

    /// The endpoint does not lead, or cannot be reached.
    mutating func lost(at index: Int) {
        if leader == index { leader = nil }
        if start == index { start = (index + 1) % max(addresses.count, 1) }
    }

    /// The endpoint that `pointer` means; nil where it is none of ours, or where nothing tells yet.
    func endpoint(of pointer: LeaderPointer) -> Int? {
        if let nodeID = pointer.nodeID, let index = nodeIDs.first(where: { $0.value == nodeID })?.key { return index }
        // The address is that of the nodes among themselves, but a server that is set up so may name the one for clients.
        return pointer.address.flatMap { addresses.firstIndex(of: $0) }
    }

    /// Our endpoints, the likeliest leader first.
    var order: [Int] {
        let first = leader ?? start
        return addresses.indices.map { (first + $0) % addresses.count }
    }
}

/// The way of one call to the leader: whom to ask next. Redirects can contradict each other and lead in circles, so each endpoint is asked at most
/// twice: in its turn, and once more where another names it. Pure.
struct LeaderSearch: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        case ask(Int)
        /// Ask the endpoints for the ids of their nodes, and go on with `identified`.
        case identify
        /// Ask at an address that is none of ours.
        case askStranger(String)
        case giveUp
    }

    /// Why whoever was asked did not carry it out.
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
    /// Whom the last one named.
    private(set) var pointer: LeaderPointer?

    /// - Parameter followsRedirects: whether a leader that is none of our endpoints is asked where the others say it is.
    init(followsRedirects: Bool) { self.followsRedirects = followsRedirects }

    mutating func begin(_ directory: LeaderDirectory) -> Step { untried(directory) }

    /// - Parameter index: who answered; nil for a stranger.
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

    /// The endpoints have been asked for the ids of their nodes.
    mutating func identified(_ directory: LeaderDirectory) -> Step {
        guard let pointer else { return untried(directory) }
        return follow(pointer, directory)
    }

    /// How many endpoints have not been asked yet.
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
