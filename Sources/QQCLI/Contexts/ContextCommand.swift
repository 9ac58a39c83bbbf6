import Glibc
import QQCore
import QQLoop

/// `qq context ACTION`: shows and changes contexts. Only `test` sends requests to a server.
struct ContextCommand: Sendable {
    /// The actions.
    enum Action: String, Word { case add, list, use, show, remove, rename, test }

    private let invocation: Invocation
    private let action: Action
    /// The arguments after the action.
    private let names: [String]
    private let output: Output
    private let messages: Messages
    private let store: ContextsStore

    init(_ invocation: Invocation) throws {
        self.invocation = invocation
        action = Action(rawValue: invocation.positionals[0]) ?? .list
        names = Array(invocation.positionals.dropFirst())
        output = Output(invocation)
        messages = Messages(invocation)
        try Self.check(invocation, action, names.count)
        store = try ContextsStore()
    }

    /// Checks the rules that depend on the action. The parser does not know them.
    private static func check(_ invocation: Invocation, _ action: Action, _ count: Int) throws(UsageError) {
        let wanted: ClosedRange<Int> =
            switch action {
            case .add, .use, .remove: 1...1
            case .list: 0...0
            case .show, .test: 0...1
            case .rename: 2...2
            }
        if count < wanted.lowerBound {
            let words = action == .rename ? "OLD NEW" : action == .add ? "NAME -s URL" : "NAME"
            let missing = action == .rename ? (count == 0 ? "OLD" : "NEW") : "NAME"
            throw UsageError(
                "context \(action.rawValue): \(missing) is missing", hint: "usage: qq context \(action.rawValue) \(words)")
        }
        if count > wanted.upperBound {
            throw UsageError(
                "unexpected argument \(invocation.positionals[1 + wanted.upperBound].quoted)", hint: invocation.command.helpHint)
        }
        let own: [(AnyFlag, [Action])] = [
            (Flags.replace.erased, [.add]), (Flags.from.erased, [.add]), (Flags.fromKubeconfig.erased, [.add]),
            (Flags.effective.erased, [.show]),
        ]
        for (flag, actions) in own where invocation.isGiven(flag) && !actions.contains(action) {
            throw UsageError("\(flag.long) is for 'qq context \(actions[0].rawValue)'", hint: invocation.command.helpHint)
        }
        guard action != .add, action != .test, !invocation[Flags.effective] else { return }
        for flag in ContextsFile.flags where invocation.isGiven(flag) {
            throw UsageError("\(flag.long) is for 'qq context add'", hint: invocation.command.helpHint)
        }
    }

    /// Runs every action but `test`, which is a command on a server.
    /// - Parameter lock: the lock for a change, if the caller has acquired it already.
    func run(under lock: ContextsLock? = nil) throws -> Int32 {
        switch action {
        case .add: try add(lock)
        case .list: try list()
        case .use: try use(names[0], lock)
        case .show: try show()
        case .remove: try remove(names[0], lock)
        case .rename: try rename(names[0], to: names[1], lock)
        case .test: ExitCode.usage
        }
    }

    /// Runs an action in a session. Waiting for another process that changes the contexts does not block the loop.
    func run(on loop: MainLoop) async throws -> Int32 {
        switch action {
        case .add, .use, .remove, .rename: try run(under: await store.lock(on: loop))
        case .list, .show, .test: try run()
        }
    }

    /// The `cluster-status` command line that `context test` stands for; nil for any other command.
    static func testing(_ invocation: Invocation) throws -> Invocation? {
        guard invocation.command.id == .context, invocation.positionals.first == Action.test.rawValue else { return nil }
        _ = try ContextCommand(invocation)
        var named: [GivenFlag] = []
        if let name = invocation.positionals.dropFirst().first {
            if invocation.isGiven(Flags.context) {
                throw UsageError("--context and NAME exclude each other", hint: invocation.command.helpHint)
            }
            named = [GivenFlag(name: Flags.context.erased.name, text: name, value: name)]
        }
        return invocation.adding(named, for: Commands.clusterStatus)
    }

    // MARK: Changing

    private func add(_ lock: ContextsLock?) throws -> Int32 {
        let name = names[0]
        if let problem = ContextsFile.problem(withName: name) {
            throw UsageError("\(name.quoted) cannot be the name of a context: \(problem)", hint: invocation.command.helpHint)
        }
        let entry = ContextsFile.Entry(name: name, settings: try ContextImport.settings(invocation))
        guard entry["server"] != nil || entry["cluster-config"] != nil else {
            throw UsageError(
                "context add: the server is missing",
                hint: "add -s URL, --cluster-config FILE, --from FILE or --from-kubeconfig")
        }
        let replaces = invocation[Flags.replace]
        try store.change(under: lock) { (file) throws(CoordinationError) in
            if file[name] != nil, !replaces {
                throw CoordinationError(
                    .configuration, "left context \(name) as it is", because: "it exists already", at: store.path,
                    hint: "add --replace, or choose another name")
            }
            return .add(entry)
        }
        try tell("added", name)
        if try store.read().current != name { messages.note("use it with 'qq context use \(name)', or --context \(name)") }
        return ExitCode.yes
    }

    private func use(_ name: String, _ lock: ContextsLock?) throws -> Int32 {
        try store.change(under: lock) { (file) throws(CoordinationError) in
            guard file[name] != nil else { throw ContextChoice.unknown(name, in: file, at: store.path) }
            return file.current == name ? nil : .use(name)
        }
        try tell("using", name)
        if let variable = ["QQ_SERVER", "QQ_CONTEXT"].first(where: { filledVariable($0) != nil }) {
            messages.note("\(variable) is set, and overrides the current context")
        }
        return ExitCode.yes
    }

    private func remove(_ name: String, _ lock: ContextsLock?) throws -> Int32 {
        try store.change(under: lock) { (file) throws(CoordinationError) in
            guard file[name] != nil else { throw ContextChoice.unknown(name, in: file, at: store.path) }
            if file.current == name { messages.note("\(name) was the current context; now none is current") }
            return .remove(name)
        }
        try tell("removed", name)
        return ExitCode.yes
    }

    private func rename(_ old: String, to new: String, _ lock: ContextsLock?) throws -> Int32 {
        if let problem = ContextsFile.problem(withName: new) {
            throw UsageError("\(new.quoted) cannot be the name of a context: \(problem)", hint: invocation.command.helpHint)
        }
        try store.change(under: lock) { (file) throws(CoordinationError) in
            guard file[old] != nil else { throw ContextChoice.unknown(old, in: file, at: store.path) }
            if old == new { return nil }
            guard file[new] == nil else {
                throw CoordinationError(
                    .configuration, "left context \(old) as it is", because: "a context \(new) exists already", at: store.path,
                    hint: "choose another name, or remove that one first: qq context remove \(new)")
            }
            return .rename(old, to: new)
        }
        try tell("renamed", new)
        return ExitCode.yes
    }

    private func tell(_ what: String, _ name: String) throws(CoordinationError) {
        switch output.form {
        case .json: try output.print(json: ["action": .string(action.rawValue), "name": .string(name)])
        case .terminal: try output.print(output.color(what, .good) + " \(name)")
        case .plain: try output.print(record: [name, what])
        }
    }

    // MARK: Showing

    private func list() throws -> Int32 {
        let file = try store.read()
        switch output.form {
        case .json:
            try output.print(json: [
                "current": Rendering.json(file.current),
                "contexts": .array(file.entries.map { Self.json($0, isCurrent: $0.name == file.current) }),
            ])
        case .plain:
            for entry in file.entries {
                try output.print(record: [entry.name, entry.name == file.current ? "current" : nil, Self.server(of: entry)])
            }
        case .terminal:
            if file.entries.isEmpty {
                messages.note("no contexts in \(store.path); make one with 'qq context add NAME -s URL'")
                return ExitCode.yes
            }
            try output.print(
                table: ["", "CONTEXT", "SERVER"],
                file.entries.map { entry in
                    let isCurrent = entry.name == file.current
                    return [.init(isCurrent ? "*" : ""), .init(entry.name, isCurrent ? .good : .strong), .init(Self.server(of: entry))]
                })
        }
        return ExitCode.yes
    }

    private func show() throws -> Int32 {
        if invocation[Flags.effective] { return try showEffective() }
        let file = try store.read()
        guard let name = names.first ?? invocation[Flags.context] ?? filledVariable("QQ_CONTEXT") ?? file.current else {
            messages.note("no context is in use; list them with 'qq context list'")
            return ExitCode.no
        }
        guard let entry = file[name] else { throw ContextChoice.unknown(name, in: file, at: store.path) }
        switch output.form {
        case .json: try output.print(json: Self.json(entry, isCurrent: name == file.current))
        case .plain: for setting in entry.settings { try output.print(record: [setting.key, setting.text]) }
        case .terminal:
            try output.print(output.color(name, .strong) + (name == file.current ? "  " + output.color("current", .good) : ""))
            for setting in entry.settings { try output.print("  \(setting.key): \(Printable.text(setting.text))") }
        }
        return ExitCode.yes
    }

    private func showEffective() throws -> Int32 {
        var line = invocation
        if let name = names.first { line = line.adding([GivenFlag(name: Flags.context.erased.name, text: name, value: name)]) }
        let values = try EffectiveValue.all(line)
        switch output.form {
        case .json:
            try output.print(json: [
                "settings": .array(values.map { ["key": .string($0.key), "value": Rendering.json($0.text), "origin": .string($0.origin)] })
            ])
        case .plain: for value in values { try output.print(record: [value.key, value.text, value.origin]) }
        case .terminal:
            try output.print(
                table: ["SETTING", "VALUE", "FROM"],
                values.map { [.init($0.key, .strong), .init($0.text), .init($0.origin, $0.isDefault ? .faint : nil)] })
        }
        return ExitCode.yes
    }

    private static func server(of entry: ContextsFile.Entry) -> String? {
        entry["server"] ?? entry["cluster-config"].map { "as in \($0)" }
    }

    private static func json(_ entry: ContextsFile.Entry, isCurrent: Bool) -> JSONValue {
        [
            "name": .string(entry.name), "current": .bool(isCurrent), "server": Rendering.json(entry["server"]),
            "settings": .object(JSONObject(entry.settings.map { .init(name: $0.key, value: .string($0.text)) })),
        ]
    }
}
