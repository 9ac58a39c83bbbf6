import CVersion
import QQCore

/// What this program was built from.
enum Build {
    /// The commit, followed by `-dirty` if the sources had other changes; nil if it is not known, as after `swift build` alone.
    static var commit: String? { qq_commit().map { String(cString: $0) } }

    /// `qq 0.1.0`, or `qq 0.1.0 (4ce87f7f0a1b)` if the commit is known.
    static var text: String { text(commit: commit) }

    /// - Parameter commit: as in ``commit``; of its digits, the first twelve are shown.
    static func text(commit: String?) -> String {
        guard let commit else { return "qq \(version)" }
        let digits = commit.prefix { $0 != "-" }
        return "qq \(version) (\(digits.prefix(12))\(commit[digits.endIndex...]))"
    }
}

/// `version [--json]`.
func showVersion(_ invocation: Invocation) throws -> Int32 {
    let output = Output(invocation)
    if output.form == .json { try output.print(json: Schemas.version(commit: Build.commit)) } else { try output.print(Build.text) }
    return ExitCode.yes
}

extension Schemas {
    /// - Parameter commit: as in ``Build/commit``.
    static func version(commit: String?) -> JSONValue {
        let systems = Systems.all.compactMap { system -> JSONValue? in
            guard let documentation = system.documentation?() else { return nil }
            return [
                "system": .string(system.url.name), "protocol": .string(documentation.protocol),
                "tested_against": .array(documentation.testedAgainst.map { .string($0) }),
            ]
        }
        return ["version": .string(QQCore.version), "commit": Rendering.json(commit), "systems": .array(systems)]
    }
}
