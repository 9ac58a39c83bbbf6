import Foundation
import Testing

@testable import QQCLI

/// The repository's folder.
let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

@Suite("Committed generated files") struct CommittedFiles {
    /// With QQ_WRITE_GENERATED set, writes the files before comparing them.
    @Test("committed manual pages and completions are those that the declarations generate", arguments: generatedFiles().map(\.path))
    func areWhatTheDeclarationsGenerate(path: String) throws {
        let contents = try #require(generatedFiles().first { $0.path == path }).contents
        let file = repository.appendingPathComponent(path)
        if ProcessInfo.processInfo.environment["QQ_WRITE_GENERATED"] != nil {
            try contents.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == contents, "run make docs")
    }

    @Test("every committed manual page and completion is generated") func areAllGenerated() throws {
        let generated = Set(generatedFiles().map(\.path))
        for folder in ["man", "completions"] {
            let present = try FileManager.default.contentsOfDirectory(atPath: repository.appendingPathComponent(folder).path)
            for file in present { #expect(generated.contains("\(folder)/\(file)")) }
        }
    }
}
