import QQCore

/// Text and JSON forms of values.
enum Rendering {
    /// Seconds as a plain decimal number: `15`, `0.5`.
    static func seconds(_ duration: Duration) -> String { JSONWriter.string(rounded(duration)) }

    static func json(_ duration: Duration?) -> JSONValue { duration.map { .double($0.seconds) } ?? .null }

    static func json(_ time: WallTime?) -> JSONValue { time.map { .string($0.rfc3339(fractionDigits: 3)) } ?? .null }

    static func json(_ token: FencingToken?) -> JSONValue { token.map { .number($0.value) } ?? .null }

    static func json(_ number: UInt64?) -> JSONValue { number.map { .number($0) } ?? .null }

    static func json(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }

    /// Seconds to the millisecond: more digits only make lines hard to read.
    static func rounded(_ duration: Duration?) -> JSONValue {
        duration.map { .double(Double($0.milliseconds) / 1000) } ?? .null
    }

    /// ` (build 417)`, to follow the leader; empty without a note.
    static func noteInBrackets(_ state: ElectionState) -> String { state.note.map { " (\($0))" } ?? "" }

    /// The state as messages describe it: `held by web1/42/9f, token 7, for 12s unless renewed`.
    /// - Parameter identity: the contender that asked.
    static func sentence(_ state: ElectionState, for identity: String? = nil) -> String {
        if !state.slots.isEmpty { return SlotText.sentence(state, for: identity) }
        if let cooldown = state.cooldown, !state.isLed {
            // The pause applies to this identity, whoever led before.
            return "free, but \(identity ?? "we") stepped down and must not lead for \(DurationText.brief(cooldown))"
        }
        switch state.phase {
        case .free: return "held by nobody"
        case .unknown: return "not ours; this system does not say who holds it, if anyone"
        case .held, .expired:
            var text = state.phase == .held ? "held by " : "not held any more; last by "
            text +=
                state.leader ?? state.problem.map { "a lease that cannot be read (\($0.reason))" }
                ?? "a command that still runs, though its lease was removed"
            if state.phase == .held { text += noteInBrackets(state) }
            if let token = state.token { text += ", token \(token)" }
            if state.phase == .held, let remaining = state.remaining { text += ", for \(DurationText.brief(remaining)) unless renewed" }
            return text
        }
    }
}
