/// Something that only some systems can do.
public enum Capability: String, Sendable, Hashable, CaseIterable {
    case fencingToken
    case readLeader
    case listElections
    case stepDownOthers
    case askNodeToStepDown
    case priority
    case cancelWait
    case backoffAdvice
    case members
    case waiterCount
    case note

    /// The alternative to a missing capability; nil if there is none.
    var hint: String? {
        switch self {
        case .fencingToken: "leave --require-token out, or use a system that gives tokens out"
        case .readLeader: "--mine asks whether we lead"
        case .listElections: "name the elections instead"
        case .stepDownOthers: "have the holder give it up, or wait until its lease ends"
        case .askNodeToStepDown: "use --force in place of --node"
        case .priority: "leave --priority out"
        case .cancelWait: "end the process that waits"
        case .backoffAdvice: "leave --advice out"
        case .waiterCount: "leave --contested out"
        case .note: "leave --note out"
        case .members: nil
        }
    }
}

/// The capabilities of a system, and the reason for each one that is missing. Checked before anything is tried.
public struct Capabilities: Sendable {
    private let reasons: [Capability: String]

    /// - Parameter lacking: the capabilities that the system lacks, each with the reason, as the end of a sentence.
    public init(lacking reasons: [Capability: String]) { self.reasons = reasons }

    public func has(_ capability: Capability) -> Bool { reasons[capability] == nil }

    /// Why the system cannot do it; nil if it can.
    public func reasonAgainst(_ capability: Capability) -> String? { reasons[capability] }

    /// - Throws: `CoordinationError` of kind `.unsupported` if the system cannot do it.
    public func require(_ capability: Capability, for what: String, at server: ServerURL) throws(CoordinationError) {
        if !has(capability) { throw unsupported(capability, what, at: server) }
    }

    /// The error for everything that a system cannot do.
    func unsupported(_ capability: Capability, _ what: String, at server: ServerURL) -> CoordinationError {
        CoordinationError(
            .unsupported, "cannot \(what)", because: reasons[capability] ?? "\(server.system.name) has no such thing",
            at: server.description, hint: capability.hint)
    }
}
