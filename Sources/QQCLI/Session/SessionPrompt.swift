import QQCore

/// The prompt: `prod nats web 12s> `. Pure.
struct SessionPrompt {
    /// A lease that is held.
    struct Lease: Equatable {
        let name: String
        let left: Duration
        let ttl: Duration

        /// Whether the lease should have been renewed by now.
        var isLate: Bool { left < ttl / 2 }

        /// Name and remaining time. A late renewal is marked with `!`, because not every terminal shows colours.
        var text: String { "\(Printable.text(name)) \(Int(max(left, .zero).seconds.rounded(.up)))s" + (isLate ? "!" : "") }

        var color: Output.Color { isLate ? (left < ttl / 4 ? .bad : .warning) : .good }
    }

    struct Piece: Equatable {
        let text: String
        var color: Output.Color?
    }

    let context: String?
    let system: String
    let leases: [Lease]

    /// The pieces of the prompt, to be separated by spaces, without the `>`. The prompt takes at most half of the line, to leave room to type. Late leases
    /// come first. Leases that do not fit are counted.
    func pieces(columns: Int) -> [Piece] {
        let room = max(columns / 2, 1)
        let ordered = leases.filter(\.isLate) + leases.filter { !$0.isLate }
        let short = [context.map { Piece(text: $0, color: .strong) } ?? Piece(text: system, color: .faint)]
        let whole = short + (context == nil ? [] : [Piece(text: system, color: .faint)])
        // The name of one lease is more useful than the server.
        let named = min(ordered.count, 1)
        for (server, least) in [(whole, named), (short, named), ([], named), (short, 0), ([], 0)] {
            for shown in stride(from: ordered.count, through: least, by: -1) {
                let names = ordered.prefix(shown).map { Piece(text: $0.text, color: $0.color) }
                let pieces = server + names + rest(ordered.dropFirst(shown), isAll: shown == 0)
                if Self.width(pieces) <= room { return pieces }
            }
        }
        return []
    }

    /// The number of leases that are not shown.
    private func rest(_ leases: ArraySlice<Lease>, isAll: Bool) -> [Piece] {
        if leases.isEmpty { return [] }
        let isLate = leases.contains(where: \.isLate)
        return [Piece(text: (isAll ? "" : "+") + "\(leases.count)" + (isLate ? "!" : ""), color: isLate ? .warning : nil)]
    }

    /// The width in columns, with the `> ` at the end.
    private static func width(_ pieces: [Piece]) -> Int { pieces.map { $0.text.count + 1 }.reduce(0, +) + 1 }
}
