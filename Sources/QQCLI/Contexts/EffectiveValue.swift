import QQCore
import QQNATS

/// The value of one setting that applies to a command line, and its origin.
struct EffectiveValue: Sendable {
    let key: String
    /// nil if the setting has no value and no default.
    let text: String?
    let origin: String
    var isDefault: Bool { origin == "default" }

    /// All settings that a context can have, in the order of `ContextsFile.flags`. Precedence: flag, environment, context, the cluster file that the context
    /// names, default.
    static func all(_ invocation: Invocation) throws(CoordinationError) -> [EffectiveValue] {
        let choice = try ContextChoice(for: invocation)
        let filled = try choice?.fill(invocation) ?? invocation
        let file = try filled[Flags.clusterConfig].map { path throws(CoordinationError) in try ClusterFile.read(path) }
        return try ContextsFile.flags.map { flag throws(CoordinationError) in
            if let text = invocation.text(flag) {
                return EffectiveValue(key: flag.name, text: shown(flag, text), origin: "flag \(flag.long)")
            }
            if let name = flag.environment, let text = filledVariable(name) {
                return EffectiveValue(key: flag.name, text: shown(flag, text), origin: "environment \(name)")
            }
            if let choice, filled.isGiven(flag), let text = filled.text(flag) {
                let line = choice.entry.settings.first { $0.key == flag.name }?.line ?? 0
                return EffectiveValue(
                    key: flag.name, text: shown(flag, text), origin: "context \(choice.entry.name) (\(choice.path), line \(line))")
            }
            if let file, let text = said(flag, by: file) {
                return EffectiveValue(key: flag.name, text: text, origin: "cluster file \(file.path)")
            }
            return try byDefault(flag)
        }
    }

    private static func byDefault(_ flag: AnyFlag) throws(CoordinationError) -> EffectiveValue {
        var text = flag.defaultText
        if flag.isSwitch { text = "false" }
        if let name = flag.lastVariable, let text = filledVariable(name) {
            return EffectiveValue(key: flag.name, text: text, origin: "environment \(name)")
        }
        if flag.name == Flags.server.erased.name { text = try ServerChoice.resolve(flag: nil, file: nil).url.description }
        return EffectiveValue(key: flag.name, text: text, origin: "default")
    }

    /// The text without credentials.
    private static func shown(_ flag: AnyFlag, _ text: String) -> String {
        guard flag.name == Flags.server.erased.name else { return text }
        return (try? Systems.url(text))?.description ?? Hidden.redacted(word: text)
    }

    private static func said(_ flag: AnyFlag, by file: ClusterFile) -> String? {
        switch flag.name {
        case Flags.server.erased.name: file.server?.description
        case Flags.id.erased.name: file.nodeID
        case Flags.ttl.erased.name: file.leaseTTL.map { DurationText.format($0) }
        case Flags.renewEvery.erased.name: file.renewEvery.map { DurationText.format($0) }
        case Flags.creds.erased.name: file.credentialsPath
        default: nil
        }
    }
}
