/// The calls that a server received, by method and client id.
public struct GRPCCalls: Sendable, Hashable {
    private var counts: [String: [String: Int]] = [:]

    mutating func count(_ method: String, by id: String) { counts[method, default: [:]][id, default: 0] += 1 }

    /// How often a method was called.
    public subscript(method: String) -> Int { counts[method]?.values.reduce(0, +) ?? 0 }
    /// How often a method was called under an id.
    public subscript(method: String, id: String) -> Int { counts[method]?[id] ?? 0 }
    /// Number of all calls.
    public var all: Int { counts.keys.reduce(0) { $0 + self[$1] } }
    /// The client ids of all calls; the empty id stands for calls without one.
    public var ids: Set<String> { Set(counts.values.flatMap(\.keys)) }
    public var methods: Set<String> { Set(counts.keys) }
}

/// Faults that can befall calls of any method.
public struct GRPCCallFaults: Sendable {
    /// Delay of each answer.
    public var delay = Duration.zero
    /// By method: the number of calls that are carried out and never answered.
    public var lost: [String: Int] = [:]
    /// Methods whose calls wait before they are carried out, until the method is removed from this set.
    public var held: Set<String> = []
    /// By method: additional delays of the next answers.
    public var late: [String: [Duration]] = [:]
    /// By method: the number of calls that are refused with UNAVAILABLE, without being carried out.
    public var unavailable: [String: Int] = [:]

    public init() {}

    /// Decrements a count.
    /// - Returns: false if the count was zero.
    static func take(_ counts: inout [String: Int], _ method: String) -> Bool {
        guard let left = counts[method], left > 0 else { return false }
        counts[method] = left - 1
        return true
    }

    /// Takes the delay of the next answer.
    mutating func takeDelay(_ method: String) -> Duration {
        guard let next = late[method]?.first else { return delay }
        late[method]?.removeFirst()
        return delay + next
    }
}
