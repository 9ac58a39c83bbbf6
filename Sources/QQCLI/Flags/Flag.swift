/// A flag and the type of its value. It is also the key of the value in an ``Invocation``.
///
/// Parsing, help, manual pages and completions all use this declaration.
struct Flag<Value: Sendable>: Sendable {
    /// The declaration without the type of the value, for lists of flags.
    let erased: AnyFlag
    /// Parses a value. The error describes only the text; the parser adds the flag's name.
    let parse: @Sendable (String) throws(UsageError) -> Value

    /// A flag with a value.
    ///
    /// - Parameters:
    ///   - name: the long name without its dashes.
    ///   - value: the name of the value in help, such as `DURATION`.
    ///   - help: one line without a full stop; with default and layout it fits 80 columns.
    ///   - more: the description in long help and manual pages; an empty line separates paragraphs.
    ///     Backticks mark literal text, asterisks text that the user replaces.
    ///   - defaultText: the value that applies if the flag is absent.
    ///   - lastVariable: a variable of other programs that applies if neither the command line nor a context sets the flag.
    ///   - withoutValue: the value of the flag alone; a flag that has one accepts a value only after `=`.
    init(
        _ name: String, short: Character? = nil, value: String, kind: ValueKind, group: FlagGroup,
        help: @autoclosure @escaping @Sendable () -> String, more: @autoclosure @escaping @Sendable () -> String,
        defaultText: @autoclosure @escaping @Sendable () -> String? = nil,
        environment: String? = nil, lastVariable: String? = nil, repeatable: Bool = false, withoutValue: Value? = nil, hidden: Bool = false,
        parse: @escaping @Sendable (String) throws(UsageError) -> Value
    ) {
        self.parse = parse
        let alone: (any Sendable)? = withoutValue
        erased = AnyFlag(
            name: name, short: short, valueName: value, kind: kind, group: group, makeHelp: help, makeMore: more,
            makeDefaultText: defaultText, environment: environment, lastVariable: lastVariable, isRepeatable: repeatable,
            isHidden: hidden, withoutValue: alone
        ) { (text: String) throws(UsageError) -> any Sendable in try parse(text) }
    }
}

extension Flag<Bool> {
    /// A switch: present or absent, never with a value.
    init(
        switch name: String, short: Character? = nil, group: FlagGroup, help: @autoclosure @escaping @Sendable () -> String,
        more: @autoclosure @escaping @Sendable () -> String,
        hidden: Bool = false
    ) {
        parse = { (_: String) throws(UsageError) -> Bool in true }
        erased = AnyFlag(
            name: name, short: short, valueName: nil, kind: .none, group: group, makeHelp: help, makeMore: more,
            makeDefaultText: { nil }, environment: nil, lastVariable: nil, isRepeatable: false, isHidden: hidden, withoutValue: true,
            read: { (_: String) throws(UsageError) -> any Sendable in true })
    }
}

/// A flag's declaration without the type of its value.
struct AnyFlag: Sendable {
    /// The long name without its dashes.
    let name: String
    let short: Character?
    /// The name of the value in help; nil for a switch.
    let valueName: String?
    let kind: ValueKind
    let group: FlagGroup
    /// Evaluated on demand: most commands do not print it.
    let makeHelp: @Sendable () -> String
    /// Evaluated on demand as well.
    let makeMore: @Sendable () -> String
    /// Evaluated on demand as well.
    let makeDefaultText: @Sendable () -> String?
    /// The environment variable that applies if the flag is absent.
    let environment: String?
    /// A variable of other programs whose value applies after all others, including a context's. The code that uses the flag reads it, by the rules of
    /// these programs.
    let lastVariable: String?
    let isRepeatable: Bool
    let isHidden: Bool
    /// The value of the flag alone; nil if the flag needs a value.
    let withoutValue: (any Sendable)?
    let read: @Sendable (String) throws(UsageError) -> any Sendable

    var help: String { makeHelp() }

    var defaultText: String? { makeDefaultText() }

    /// The description with the sentences that systems add.
    var more: String { ([makeMore()] + Systems.notes(on: name)).joined(separator: " ") }

    var isSwitch: Bool { valueName == nil }

    /// True if the value can be left out and is therefore accepted only after `=`.
    var valueIsOptional: Bool { valueName != nil && withoutValue != nil }

    /// True if the next word is the value.
    var takesNextWord: Bool { valueName != nil && withoutValue == nil }

    /// `--name`.
    var long: String { "--" + name }

    /// A sentence about repeatable flags, for manual pages.
    static let repeatableNote = "Can be given several times."

    /// Each way to write the flag, long first: `--server`, `-s`.
    var spellings: [String] { [long] + (short.map { ["-\($0)"] } ?? []) }

    /// `--ttl DURATION`, `--wait[=DURATION]`, `--json`.
    var usage: String {
        guard let valueName else { return long }
        return valueIsOptional ? "\(long)[=\(valueName)]" : "\(long) \(valueName)"
    }
}

/// Lists flags of different types: `{ Flags.ttl; Flags.wait; Flags.hooks }`.
@resultBuilder
enum FlagListBuilder {
    static func buildExpression<Value>(_ flag: Flag<Value>) -> [AnyFlag] { [flag.erased] }
    static func buildExpression(_ flags: [AnyFlag]) -> [AnyFlag] { flags }
    static func buildBlock(_ parts: [AnyFlag]...) -> [AnyFlag] { parts.flatMap { $0 } }
}
