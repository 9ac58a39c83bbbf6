import Glibc
import QQCore
import Support
import Synchronization
import Testing

@Suite("Never two", .serialized)
struct ContenderTests {
    /// Shells that run terms one after the other: with a pause of nothing between them, so that they always contend.
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

    @Test("20 contenders, 200 terms: one at a time, with tokens that grow; and Go can read the file at any time")
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

    @Test("with TTLs so short that renewal is always due, work never overlaps")
    func shortLeases() async throws {
        try await inSandbox(.heavy) { box in
            let all = try contenders(6, terms: 3, in: box, options: "--ttl 200ms --kill-after 20ms", work: "--for 500 --daemon")
            // On a loaded machine a term may be lost; what may not be is two at work.
            for contender in all { _ = try await contender.finish(within: .seconds(120)) }
            let stamps = box.stamps()
            #expect(stamps.terms.count >= 6)
            #expect(stamps.violations.isEmpty)
        }
    }
}

/// Reads a lease file as the Go package does: whole, under LOCK_SH, and parses it.
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

    /// What is wrong with it now; nil where nothing is.
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
        else { return "not what Go reads: \(object)" }
        return nil
    }
}
