import QQCore
import QQREPL

// Completion with Tab. Elections are completed from the last read of the server, because completion must never wait.
extension Session {
    func candidates(_ before: String) -> Candidates {
        let words = CommandLine.unfinished(before)
        let last = words.last ?? ""
        guard words.count > 1 else {
            return Candidates(
                (Commands.visible.map(\.name) + SessionCommand.allCases.map(\.rawValue)).filter { $0.hasPrefix(last) }.sorted())
        }
        if let own = SessionCommand(rawValue: words[0]) {
            return Candidates(words.count == 2 ? names(for: own).filter { $0.hasPrefix(last) } : [])
        }
        guard let command = Commands.named(words[0]), !command.isHidden else { return Candidates() }
        let flags = command.flags.filter { !$0.isHidden }
        if words.dropLast().contains("--") {
            // After `--` there are only the words of another program, or only names.
            if command.takesTrailingCommand { return Candidates(areFiles: true) }
            guard let positional = positional(of: command, words, flags) else { return Candidates() }
            return offer(positional.kind, for: last, of: nil)
        }
        if let flag = flags.first(where: { $0.takesNextWord && $0.spellings.contains(words[words.count - 2]) }) {
            return offer(flag.kind, for: last, of: flag)
        }
        if last.hasPrefix("--"), let sign = last.firstIndex(of: "=") {
            guard let flag = flags.first(where: { $0.long == last[..<sign] }) else { return Candidates() }
            return offer(flag.kind, for: String(last[last.index(after: sign)...]), of: flag, after: String(last[...sign]))
        }
        if last.hasPrefix("-") {
            return Candidates(flags.flatMap(\.spellings).filter { $0.hasPrefix("--") && $0.hasPrefix(last) }.sorted())
        }
        guard let positional = positional(of: command, words, flags) else { return Candidates() }
        var found = offer(positional.kind, for: last, of: nil)
        // The parser would treat such a word as a flag.
        found.words.removeAll { $0.hasPrefix("-") }
        return found
    }

    /// The positional argument at the cursor; nil if there is none.
    private func positional(of command: Command, _ words: [String], _ flags: [AnyFlag]) -> Positional? {
        var position = 0
        var isValue = false
        var areNames = false
        for word in words.dropFirst().dropLast() {
            if areNames {
                position += 1
            } else if word == "--", !isValue {
                areNames = true
            } else if isValue {
                isValue = false
            } else if word.hasPrefix("-") {
                isValue = flags.contains { $0.takesNextWord && $0.spellings.contains(word) }
            } else {
                position += 1
            }
        }
        if position < command.positionals.count { return command.positionals[position] }
        return command.positionals.last.flatMap { $0.isVariadic ? $0 : nil }
    }

    /// - Parameter before: the part of the word before the value: the flag and its `=`.
    private func offer(_ kind: ValueKind, for word: String, of flag: AnyFlag?, after before: String = "") -> Candidates {
        let found = state.withLock { $0.elections }
        let names: [String]
        switch kind {
        case .none, .duration, .count, .pid: return Candidates()
        case .text:
            // Only the names of leaders and members are known.
            guard [Flags.node.erased.name, Flags.owner.erased.name].contains(flag?.name) else { return Candidates() }
            names = Set(found.flatMap(\.holdings).compactMap(\.leader)).union(state.withLock { $0.members }).sorted()
        case .choice(let words): names = words
        case .file, .directory, .command: return Candidates(areFiles: true)
        case .serverURL:
            return Candidates(
                Systems.spoken.flatMap(\.url.beginnings).filter { $0.hasPrefix(word) }.map { before + $0 }, ends: false)
        case .election: names = Set(found.map(\.name) + leases.all.map(\.name)).sorted()
        case .grant: names = Set(leases.all.map(\.name) + savedGrants).sorted()
        case .context: names = contexts
        case .commandName: names = Commands.visible.map(\.name) + SessionCommand.allCases.map(\.rawValue)
        case .manPage: names = CompletionSource.manPageNames
        }
        return Candidates(names.filter { $0.hasPrefix(word) && CompletionSource.isOffered($0) }.map { before + $0 })
    }

    /// Candidates for the argument of a session command.
    private func names(for command: SessionCommand) -> [String] {
        switch command {
        case .use: contexts
        case .fg, .stop: state.withLock { $0.jobs.keys.sorted() }.map { "\($0)" }
        case .leases, .jobs, .history, .exit, .quit: []
        }
    }

    private var savedGrants: [String] { quietSetup().map { GrantStore().names(at: $0.server) } ?? [] }

    private var contexts: [String] { ((try? ContextsStore().read())?.entries ?? []).map(\.name).sorted() }
}
