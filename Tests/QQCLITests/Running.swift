import Foundation
import Testing

/// A folder for one test, with a `qq` on its PATH that knows some names and records its calls.
struct Sandbox {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("qq-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("bin"), withIntermediateDirectories: true)
        try write(
            """
            #!/bin/sh
            echo "$*" >>'\(folder.path)/calls'
            echo "noise that completion must not show" >&2
            case "$*" in
            *"elections -s file:///other"*) printf 'one\\ntwo\\n' ;;
            *elections*) printf 'backup\\nbase\\nweb\\n' ;;
            *grants*) printf 'deploy\\n' ;;
            esac
            """, to: "bin/qq")
        try makeExecutable("bin/qq")
    }

    func makeExecutable(_ name: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.appendingPathComponent(name).path)
    }

    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: folder.appendingPathComponent(name).path) }

    func remove() { try? FileManager.default.removeItem(at: folder) }

    func write(_ text: String, to name: String) throws {
        try text.write(to: folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
    }

    func read(_ name: String) -> String { (try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)) ?? "" }

    /// Runs a system program in the folder, for at most five minutes. Blocks no thread, because all tests share a few.
    func run(_ arguments: [String], input: String = "") async throws -> (output: String, errors: String, code: Int32) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "300"] + arguments
        process.currentDirectoryURL = folder
        var environment = ProcessInfo.processInfo.environment
        environment["PATH"] = folder.appendingPathComponent("bin").path + ":" + (environment["PATH"] ?? "/usr/bin:/bin")
        environment["HOME"] = folder.path
        environment["INPUTRC"] = "/dev/null"
        environment["TERM"] = "dumb"
        process.environment = environment
        try write(input, to: "stdin")
        for name in ["stdout", "stderr"] { try write("", to: name) }
        process.standardInput = try FileHandle(forReadingFrom: folder.appendingPathComponent("stdin"))
        process.standardOutput = try FileHandle(forWritingTo: folder.appendingPathComponent("stdout"))
        process.standardError = try FileHandle(forWritingTo: folder.appendingPathComponent("stderr"))
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        return (read("stdout"), read("stderr"), process.terminationStatus)
    }
}

extension String {
    /// The lines that are not blank, trimmed.
    var filledLines: [String] { split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty } }
}
