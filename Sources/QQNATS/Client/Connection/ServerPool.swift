import QQCore

/// The servers that we know, and which of them to try next. Pure.
struct ServerPool: Sendable {
    private struct Member: Sendable {
        var address: NATSOptions.Address
        /// Told of by a server: forgotten when no server tells of it any more.
        var isAnnounced: Bool
        /// About to shut down: only tried after the others.
        var isLeaving = false
        var isTried = false
        var failure: NATSError?
    }

    private var members: [Member]

    /// - Parameter shuffled: puts servers into the order in which they are tried, so that many clients spread over a cluster.
    init(_ addresses: [NATSOptions.Address], shuffled: ([NATSOptions.Address]) -> [NATSOptions.Address] = { $0.shuffled() }) {
        var seen: Set<NATSOptions.Address> = []
        members = shuffled(addresses.filter { seen.insert($0).inserted }).map { Member(address: $0, isAnnounced: false) }
    }

    var addresses: [NATSOptions.Address] { members.map(\.address) }

    /// The next server to try in this round; nil when each has been tried.
    mutating func next() -> NATSOptions.Address? {
        guard
            let index = members.firstIndex(where: { !$0.isTried && !$0.isLeaving }) ?? members.firstIndex(where: { !$0.isTried })
        else { return nil }
        members[index].isTried = true
        return members[index].address
    }

    mutating func failed(_ address: NATSOptions.Address, _ error: NATSError) {
        guard let index = members.firstIndex(where: { $0.address == address }) else { return }
        members[index].failure = error
    }

    /// A new round: each may be tried again, and the one that served us last comes last.
    mutating func beginRound(after last: NATSOptions.Address?) {
        for index in members.indices {
            members[index].isTried = false
            members[index].failure = nil
        }
        guard let last, let index = members.firstIndex(where: { $0.address == last }) else { return }
        members.append(members.remove(at: index))
    }

    mutating func connected(to address: NATSOptions.Address) {
        guard let index = members.firstIndex(where: { $0.address == address }) else { return }
        members[index].isLeaving = false
    }

    mutating func isLeaving(_ address: NATSOptions.Address) {
        guard let index = members.firstIndex(where: { $0.address == address }) else { return }
        members[index].isLeaving = true
    }

    /// Takes in what a server announces in `connect_urls`: `host:port` each.
    /// - Returns: those that are new.
    mutating func announce(_ urls: [String], current: NATSOptions.Address?) -> [NATSOptions.Address] {
        guard !urls.isEmpty else { return [] }
        let announced = Self.addresses(urls)
        members.removeAll { $0.isAnnounced && $0.address != current && !announced.contains($0.address) }
        var new: [NATSOptions.Address] = []
        for address in announced where !members.contains(where: { $0.address == address }) {
            members.append(Member(address: address, isAnnounced: true))
            new.append(address)
        }
        return new
    }

    /// Bounds what a server can make us remember.
    static let mostAnnounced = 256

    static func addresses(_ urls: [String]) -> [NATSOptions.Address] { urls.prefix(mostAnnounced).compactMap(address) }

    private static func address(_ text: String) -> NATSOptions.Address? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (1...65535).contains(port) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return host.isEmpty ? nil : NATSOptions.Address(host: String(host), port: port)
    }

    /// Whether there is another server to go to.
    func hasOther(than address: NATSOptions.Address) -> Bool { members.contains { $0.address != address && !$0.isLeaving } }

    /// What the round came to, when each server has failed.
    var failure: NATSError {
        let failures = members.compactMap { member in member.failure.map { (member.address, $0) } }
        guard let (address, first) = failures.first else {
            return NATSError(.disconnected, "not connected in time", at: members.first?.address.description)
        }
        if failures.count == 1 { return NATSError(first.kind, first.reason, at: first.place ?? address.description, hint: first.hint) }
        // What is wrong with a file of ours is wrong with all of them.
        if let place = first.place, failures.allSatisfy({ $0.1 == first && $0.0.description != place }) { return first }
        // Told apart only where all agree: one server that would have us is enough.
        let kind = failures.allSatisfy { $0.1.kind == first.kind } ? first.kind : .disconnected
        let text = failures.map { "\($0.0): \($0.1.reason)" }.joined(separator: "; ")
        let hint = failures.allSatisfy { $0.1.hint == first.hint } ? first.hint : nil
        return NATSError(kind, "none of \(failures.count) servers can be used: \(text)", hint: hint)
    }
}
