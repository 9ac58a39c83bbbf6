extension [Rule] {
    /// Checks a command line against each rule.
    /// - Parameter inSession: whether it was typed in a session, which keeps the leases that it acquires.
    func check(_ invocation: Invocation, inSession: Bool) throws(UsageError) {
        for rule in self {
            if inSession, case .onlyWhereKept = rule { continue }
            guard let problem = rule.problem(in: invocation) else { continue }
            throw UsageError(problem, hint: invocation.command.helpHint)
        }
    }
}

extension Rule {
    /// The message if the rule is broken, else nil.
    fileprivate func problem(in invocation: Invocation) -> String? {
        switch self {
        case .exclusive(let first, let second):
            invocation.isGiven(first) && invocation.isGiven(second) ? "\(first.long) and \(second.long) exclude each other" : nil
        case .requires(let flag, let other):
            invocation.isGiven(flag) && !invocation.isGiven(other) ? "\(flag.long) needs \(other.long)" : nil
        case .onlyWithCommand(let flag), .onlyWhereKept(let flag):
            invocation.isGiven(flag) && invocation.trailing == nil ? "\(flag.long) needs a command after '--'" : nil
        case .onlyWithoutCommand(let flag):
            invocation.isGiven(flag) && invocation.trailing != nil ? "\(flag.long) and a command exclude each other" : nil
        case .onlyWithoutNames(let flag):
            invocation.isGiven(flag) && !invocation.positionals.isEmpty ? "\(flag.long) and names exclude each other" : nil
        }
    }
}
