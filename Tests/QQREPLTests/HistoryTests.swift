import Foundation
import QQCore
import Testing
import Traits

@testable import QQREPL

@Suite("The history", .ownThread) struct HistoryTests {
    private let history = History(path: nil) { !$0.prefix { $0 != ":" }.contains(" ") && $0.contains("://") && $0.contains("@") }

    @Test(
        "the history keeps no line with a secret",
        arguments: [
            "status -s nats://me:p@n1", "status --server='tls://t@n1' x", "status -s \"nats://a,nats://me:p@n1\"",
            "status -s 'nats://me:two words@n1'",
            "acquire x -- mysql --password=p",
            "acquire x -- curl --password p", "acquire x -- env DB_PASSWORD=p run", "acquire x -- sh -c 'SECRET=p ./run'",
        ])
    func secrets(line: String) { #expect(history.holdsSecret(line) && !history.isKept(line)) }

    @Test(
        "the history keeps lines without secrets",
        arguments: ["status web", "status -s nats://n1", "status me@x", "acquire password", "release x --token 7"])
    func others(line: String) { #expect(history.isKept(line)) }

    @Test(
        "the history keeps no line that is empty, begins with a space, or does not fit on one line of a file",
        arguments: ["", " ", "\t", " status web", "two\nlines", String(repeating: "x", count: 5000)])
    func dropped(line: String) { #expect(!history.isKept(line)) }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("qq-history-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    @Test("the history file keeps the newest lines") func file() throws {
        try withFolder { folder in
            let path = folder + "/a/b/history"
            for number in 1...25 { try HistoryFile.append("line \(number)", to: path, limit: 10) }
            let lines = HistoryFile.read(path)
            #expect(lines.last == "line 25" && (10...11).contains(lines.count))
            #expect(lines == (25 - lines.count + 1...25).map { "line \($0)" })
            let entries = try FileManager.default.contentsOfDirectory(atPath: folder + "/a/b")
            #expect(entries == ["history"])
        }
    }

    @Test("the history file loses no line of sessions that write concurrently") func atOnce() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("qq-history-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.path + "/history"
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    for number in 0..<50 {
                        // Appending waits for other writers only for a moment, which can be too short.
                        for _ in 0..<100 where (try? HistoryFile.append("\(writer) \(number)", to: path, limit: 1000)) != nil { break }
                    }
                }
            }
        }
        let lines = HistoryFile.read(path)
        #expect(Set(lines).count == 200 && lines.count == 200)
    }

    @Test("only its user can read the history file, even if others could before") func mode() throws {
        try withFolder { folder in
            let path = folder + "/history"
            _ = FileManager.default.createFile(atPath: path, contents: Data("old\n".utf8), attributes: [.posixPermissions: 0o644])
            try HistoryFile.append("new", to: path, limit: 10)
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            #expect(HistoryFile.read(path) == ["old", "new"])
            #expect(throws: SystemCallError.self) { try HistoryFile.append("x", to: "/proc/nowhere/history", limit: 10) }
        }
    }
}
