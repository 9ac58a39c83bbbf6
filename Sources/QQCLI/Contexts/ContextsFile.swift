import Glibc
import QQCore
import QQYAML
import Yams

/// The file of contexts, which supply `--server`, `--id` and other flags that neither the command line nor the environment sets.
///
///     current: prod
///     contexts:
///       prod:
///         server: nats://n1,n2,n3
///         creds: /etc/qq/prod.creds
struct ContextsFile: Sendable, Equatable {
    /// A setting of a context, with its text as in the file or on the command line.
    struct Setting: Sendable, Equatable {
        /// The flag's long name without its dashes.
        let key: String
        let text: String
        /// The line number, from 1; 0 if it was not read from a file.
        let line: Int

        init(_ key: String, _ text: String, line: Int = 0) {
            self.key = key
            self.text = text
            self.line = line
        }

        static func == (one: Setting, other: Setting) -> Bool { one.key == other.key && one.text == other.text }
    }

    /// A context, with its settings in the order of the file.
    struct Entry: Sendable, Equatable {
        var name: String
        var settings: [Setting]

        subscript(key: String) -> String? { settings.first { $0.key == key }?.text }
    }

    var current: String?
    var entries: [Entry] = []

    subscript(name: String) -> Entry? { entries.first { $0.name == name } }

    // MARK: Valid contents

    /// The flags that a context can supply.
    static let flags: [AnyFlag] =
        [Flags.server.erased, Flags.clusterConfig.erased, Flags.id.erased, Flags.ttl.erased, Flags.renewEvery.erased, Flags.timeout.erased]
        + Flags.retrying + Flags.access

    /// Keys that name files. Relative paths start at the folder of the contexts.
    static let pathKeys: Set<String> = Set(flags.filter { if case .file = $0.kind { true } else { false } }.map(\.name))

    /// Why `name` cannot be the name of a context; nil if it can.
    static func problem(withName name: String) -> String? {
        let allowed = name.utf8.allSatisfy { byte in
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
                || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "._-@/".utf8.contains(byte)
        }
        if name.isEmpty { return "it is empty" }
        if name.utf8.count > 128 { return "it has more than 128 bytes" }
        if !allowed || name.hasPrefix("-") { return "a name has letters, digits and . _ - @ /, and does not begin with a dash" }
        return nil
    }

    // MARK: Reading

    /// - Parameter path: the file of `text`, for errors.
    /// - Throws: `CoordinationError` of kind `.configuration` that names the line.
    init(_ text: String, path: String) throws(CoordinationError) {
        func wrong(_ what: String, _ line: Int?, hint: String? = nil) -> CoordinationError {
            CoordinationError(
                .configuration, "cannot use the contexts", because: what, at: line.map { "\(path), line \($0)" } ?? path, hint: hint)
        }
        let root: Node?
        do throws(BoundedYAML.Problem) { root = try BoundedYAML.compose(text) } catch {
            let keys = error.keys.isEmpty ? "" : ": \(error.keys.joined(separator: ", "))"
            throw wrong(error.reason + keys, error.line, hint: error.hint)
        }
        guard let root, root.null == nil else { return }
        guard let members = root.mapping else { throw wrong("it is not a mapping of 'current' and 'contexts'", root.mark?.line) }
        for (key, value) in members {
            let line = key.mark?.line
            switch key.string {
            case "current":
                guard let name = Self.text(value), !name.isEmpty else { throw wrong("'current' is not the name of a context", line) }
                current = name
            case "contexts":
                if value.null != nil { continue }
                guard let contexts = value.mapping else { throw wrong("'contexts' is not a mapping of names to contexts", line) }
                for (name, settings) in contexts { entries.append(try Self.entry(name, settings, wrong)) }
            case let other:
                throw wrong(
                    "unknown key '\(Printable.text(other ?? "?"))'", line,
                    hint: Suggestion.hint(for: other ?? "", among: ["current", "contexts"]) ?? "known are 'current' and 'contexts'")
            }
        }
    }

    init() {}

    private static func entry(
        _ name: Node, _ value: Node, _ wrong: (String, Int?, String?) -> CoordinationError
    ) throws(CoordinationError) -> Entry {
        let title = text(name) ?? ""
        if let problem = problem(withName: title) {
            throw wrong("'\(Printable.text(title))' cannot be the name of a context: \(problem)", name.mark?.line, nil)
        }
        if value.null != nil { return Entry(name: title, settings: []) }
        guard let members = value.mapping else { throw wrong("'\(title)' is not a mapping of settings", name.mark?.line, nil) }
        var settings: [Setting] = []
        for (key, value) in members {
            let (word, line) = (text(key) ?? "?", key.mark?.line ?? 0)
            guard let flag = flags.first(where: { $0.name == word }) else {
                throw wrong(
                    "unknown key '\(Printable.text(word))'", line,
                    Suggestion.hint(for: word, among: flags.map(\.name)) ?? "known are \(flags.map(\.name).joined(separator: ", "))")
            }
            guard value.null == nil, let text = text(value) else {
                throw wrong("'\(word)' is \(kind(of: value)), and must be \(flag.isSwitch ? "true or false" : "one value")", line, nil)
            }
            if let problem = problem(flag, text) { throw wrong("'\(word)': \(problem.message)", line, problem.hint) }
            settings.append(Setting(word, text, line: line))
        }
        return Entry(name: title, settings: settings)
    }

    /// The error in a value; nil if it is valid.
    static func problem(_ flag: AnyFlag, _ text: String) -> UsageError? {
        if flag.name == Flags.server.erased.name {
            do throws(ServerURL.Invalid) { _ = try Systems.url(text) } catch { return UsageError(error.reason, hint: error.hint) }
            guard Hidden.credentials(in: Array(text.utf8)) == nil else {
                return UsageError(
                    "it holds a secret, and contexts hold no secrets", hint: "name a file that contains it, such as --creds FILE")
            }
        }
        if flag.isSwitch { return ["true", "false"].contains(text) ? nil : UsageError("must be true or false") }
        do throws(UsageError) {
            _ = try flag.read(text)
            return nil
        } catch { return error }
    }

    /// A scalar as it is written, also if it is a number or a boolean, because flags parse texts.
    private static func text(_ node: Node) -> String? { node.scalar?.string }

    private static func kind(of node: Node) -> String {
        switch node {
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .scalar: "nothing"
        case .alias: "an alias"
        }
    }
}
