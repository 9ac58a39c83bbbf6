import QQCore

/// Events as the journal shows them. The journal adds the time of each line.
enum JournalText {
    /// An event of an election that is held: `web: elected, token 42`.
    /// - Parameters:
    ///   - event: as in records, such as `step_down_asked`.
    ///   - title: the election, with its slot.
    ///   - reason: why it happened; for `waiting` the holder.
    static func holding(
        _ event: String, title: String, token: FencingToken?, reason: String?, address: String?
    ) -> (text: String, priority: Journal.Priority) {
        var parts = [event.split(separator: "_").joined(separator: " ")]
        if let address { parts.append(address) }
        if event == "waiting", let reason { parts.append("held by \(reason)") }
        if let token { parts.append("token \(token)") }
        if event != "waiting", let reason { parts.append(reason) }
        let priority: Journal.Priority =
            switch event {
            case "lost", "disconnected", "unreachable": .warning
            case "waiting", "renewed": .info
            default: .notice
            }
        return (Printable.text("\(title): " + parts.joined(separator: ", ")), priority)
    }

    /// A change that `watch` shows: `web: elected, a/1/2f, token 7`.
    static func change(_ change: Change) -> (text: String, priority: Journal.Priority) {
        let parts = [change.word] + LineDisplay.leaderParts(change)
        return (Printable.text("\(change.state.name): " + parts.joined(separator: ", ")), .notice)
    }
}

extension Output {
    /// Prints a line for the journal.
    func print(entry: (text: String, priority: Journal.Priority)) throws(CoordinationError) {
        try print(entry.priority.prefix + entry.text)
    }
}
