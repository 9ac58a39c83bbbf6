import Glibc
import QQCore
import Support
import Synchronization
import Testing

@Suite("Never two", .serialized)
struct ContenderTests {
    /// Shells that run terms one after the other, without a pause, so that they always contend.
    private func contenders(_ count: Int, terms: Int, in box: Sandbox, options: String = "", work: String = "--for 3") throws -> [Started] {
        try (0..<count).map { _ in
            try box.start(
                [
                    "sh", "-c",
                    "i=0; while [ $i -lt \(terms) ]; do i=$((i+1)); \"$0\" acquire x --wait \(options) -- \"$1\" \"$2\" --every 1 \(work) || exit $?; done",
                    Sandbox.binary, Sandbox.stamp, box.path("stamps"),
                ])
        }
    }

    @Test("20 contenders take 200 terms one at a time, with growing tokens, and Go can always read the lease file")
    func twoHundredTerms() async throws {
        try await inSandbox(.heavy) { box in
            let reader = GoReader(box.leaseFile("x"))
            let reading = Task.detached { await reader.readUntilStopped() }
            let all = try contenders(20, terms: 10, in: box)
            for contender in all { #expect(try await contender.finish(within: .seconds(120)).ending == .exited(0)) }
            reader.stop()
            await reading.value
            let stamps = box.stamps()
            #expect(stamps.terms.count == 200)
            #expect(stamps.violations.isEmpty)
            #expect(stamps.terms.map(\.token) == Array(1...200))
            #expect(reader.problems.isEmpty)
            #expect(reader.reads > 10)
        }
    }

    @Test("with TTLs so short that a renewal is always due, commands never overlap")
    func shortLeases() async throws {
        try await inSandbox(.heavy) { box in
            let all = try contenders(6, terms: 3, in: box, options: "--ttl 200ms --kill-after 20ms", work: "--for 500 --daemon")
            // On a loaded machine a term can be lost, but two commands must not run at the same time.
            for contender in all { _ = try await contender.finish(within: .seconds(120)) }
            let stamps = box.stamps()
            #expect(stamps.terms.count >= 6)
            #expect(stamps.violations.isEmpty)
        }
    }
}

/// Reads a lease file as the Go package does: completely, under LOCK_SH, and parses it.
final class GoReader: Sendable {
    private let path: String
    private let state = Mutex<(problems: [String], reads: Int, isStopped: Bool)>(([], 0, false))

    init(_ path: String) { self.path = path }

    var problems: [String] { state.withLock { $0.problems } }
    var reads: Int { state.withLock { $0.reads } }
    func stop() { state.withLock { $0.isStopped = true } }

    func readUntilStopped() async {
        while !state.withLock({ $0.isStopped }) {
            if let problem = read() { state.withLock { $0.problems.append(problem) } }
            try? await Task.sleep(for: .milliseconds(1))
        }
    }

    /// The problem with the file's present contents; nil if there is none.
    private func read() -> String? {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        state.withLock { $0.reads += 1 }
        if count == 0 { return nil }
        guard count > 0, let object = (try? JSONValue.parse(Array(buffer.prefix(count))))?.objectValue else {
            return "not JSON: \(String(decoding: buffer.prefix(max(0, count)), as: UTF8.self))"
        }
        guard object["holder"]?.stringValue != nil, let time = object["renewTime"]?.stringValue, (try? WallTime.parse(rfc3339: time)) != nil
        else { return "not a record that Go reads: \(object)" }
        return nil
    }
}
