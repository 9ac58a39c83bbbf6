/// The calls that came to a server, by method and by the id that they were made under.
public struct GRPCCalls: Sendable, Hashable {
    private var counts: [String: [String: Int]] = [:]

    mutating func count(_ method: String, by id: String) { counts[method, default: [:]][id, default: 0] += 1 }

    /// How often a method was called.
    public subscript(method: String) -> Int { counts[method]?.values.reduce(0, +) ?? 0 }
    /// How often a method was called under an id.
    public subscript(method: String, id: String) -> Int { counts[method]?[id] ?? 0 }
    /// How often anything was called.
    public var all: Int { counts.keys.reduce(0) { $0 + self[$1] } }
    /// Under which ids anything was called; empty for calls that have none.
    public var ids: Set<String> { Set(counts.values.flatMap(\.keys)) }
    public var methods: Set<String> { Set(counts.keys) }
}

/// What goes wrong with calls whatever they are.
public struct GRPCCallFaults: Sendable {
    /// So much later than they could come, answers come.
    public var delay = Duration.zero
    /// By method: so many calls are carried out and never answered.
    public var lost: [String: Int] = [:]
    /// Methods whose calls wait before they are carried out, for as long as they are here.
    public var held: Set<String> = []
    /// By method: how much later the next answers come.
    public var late: [String: [Duration]] = [:]
    /// By method: so many calls are refused with UNAVAILABLE, without being carried out.
    public var unavailable: [String: Int] = [:]

    public init() {}

    /// Takes one off a count; false where there is none left.
    static func take(_ counts: inout [String: Int], _ method: String) -> Bool {
        guard let left = counts[method], left > 0 else { return false }
        counts[method] = left - 1
        return true
    }

    /// How much later than it could the next answer comes.
    mutating func takeDelay(_ method: String) -> Duration {
        guard let next = late[method]?.first else { return delay }
        late[method]?.removeFirst()
        return delay + next
    }
}
