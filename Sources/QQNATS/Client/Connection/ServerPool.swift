import QQCore

/// The known servers and the order in which to try them. Pure.
package struct ServerPool: Sendable {
    private struct Member: Sendable {
        var address: NATSOptions.Address
        /// Announced by a server; dropped when a later announcement leaves it out.
        var isAnnounced: Bool
        /// About to shut down; tried only after the others.
        var isLeaving = false
        var isTried = false
        var failure: NATSError?
    }

    private var members: [Member]

    /// - Parameter shuffled: orders the servers for trying, so that many clients spread over a cluster.
    package init(_ addresses: [NATSOptions.Address], shuffled: ([NATSOptions.Address]) -> [NATSOptions.Address] = { $0.shuffled() }) {
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

    /// Starts a new round: every server can be tried again, and the last connected server comes last.
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

    /// Takes in the servers that a server announces in `connect_urls`, each as `host:port`.
    /// - Returns: the new servers.
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

    /// Limits how many announced servers are remembered.
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

    /// The error of a round in which every server has failed.
    var failure: NATSError {
        let failures = members.compactMap { member in member.failure.map { (member.address, $0) } }
        guard let (address, first) = failures.first else {
            return NATSError(.disconnected, "not connected in time", at: members.first?.address.description)
        }
        if failures.count == 1 { return NATSError(first.kind, first.reason, at: first.location ?? address.description, hint: first.hint) }
        // A fault in a local file, such as the credentials, fails every server alike: report it once.
        if let location = first.location, failures.allSatisfy({ $0.1 == first && $0.0.description != location }) { return first }
        // Keep the kind only if all servers agree on it: one server that can be used later is enough.
        let kind = failures.allSatisfy { $0.1.kind == first.kind } ? first.kind : .disconnected
        let text = failures.map { "\($0.0): \($0.1.reason)" }.joined(separator: "; ")
        let hint = failures.allSatisfy { $0.1.hint == first.hint } ? first.hint : nil
        return NATSError(kind, "none of \(failures.count) servers can be used: \(text)", hint: hint)
    }
}
