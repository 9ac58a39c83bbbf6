import Glibc
import QQCore
import QQLoop
import Synchronization
import Testing

@testable import QQCLI

@Suite("Writing the file of --metrics-file") struct MetricsFileWritingTests {
    /// A file system whose first write waits until it is let go, and whose writes can fail.
    private final class Disk: Sendable {
        private struct State {
            var begun = 0
            var current = 0
            var most = 0
            var isHung: Bool
        }

        private let state: Mutex<State>
        private let reason: String?

        init(isHung: Bool = false, failing reason: String? = nil) {
            state = Mutex(State(isHung: isHung))
            self.reason = reason
        }

        var begun: Int { state.withLock { $0.begun } }
        /// The largest number of writes at the same time.
        var most: Int { state.withLock { $0.most } }

        func letGo() { state.withLock { $0.isHung = false } }

        func write() throws(AtomicFile.Failure) {
            state.withLock {
                $0.begun += 1
                $0.current += 1
                $0.most = max($0.most, $0.current)
            }
            // The limit ends a test that fails.
            for _ in 0..<60_000 where state.withLock({ $0.isHung }) { usleep(1000) }
            state.withLock { $0.current -= 1 }
            if let reason { throw AtomicFile.Failure(reason: reason) }
        }
    }

    private final class Reports: Sendable {
        private let texts = Mutex<[String]>([])

        var all: [String] { texts.withLock { $0 } }

        func add(_ error: CoordinationError) { texts.withLock { $0.append(error.description) } }
    }

    private let path = "/nowhere/qq.prom"

    private func file(on disk: Disk, _ loop: MainLoop, limit: Duration = .seconds(60), _ reports: Reports) throws -> MetricsFile {
        try MetricsFile(
            path, Metrics(clock: loop), loop: loop, every: .milliseconds(1), limit: limit,
            replace: { (_, _) throws(AtomicFile.Failure) in try disk.write() }, report: { reports.add($0) })
    }

    @Test("a write that hangs stops neither the loop nor the end of the command, and no write begins beside it", .timeLimit(.minutes(2)))
    func hangs() throws {
        let (loop, disk, reports) = (try MainLoop(), Disk(isHung: true), Reports())
        defer { disk.letGo() }
        let file = try file(on: disk, loop, limit: .milliseconds(50), reports)
        let result = loop.run {
            await file.keeping {
                while disk.begun == 0 { try? await loop.sleep(for: .milliseconds(1)) }
                // The intervals of these sleeps are left out.
                for _ in 0..<20 { try? await loop.sleep(for: .milliseconds(1)) }
                return 7
            }
        }
        #expect(result == 7 && disk.begun == 1)
        #expect(reports.all == ["cannot write the metrics: the file system has not answered within 50ms (\(path))"])
    }

    @Test("the last write comes after one that is not complete, also if the command is cancelled", .timeLimit(.minutes(2)))
    func last() throws {
        let (loop, disk, reports) = (try MainLoop(), Disk(isHung: true), Reports())
        defer { disk.letGo() }
        let file = try file(on: disk, loop, reports)
        let error = loop.run { () async -> (any Error)? in
            let command = Task(executorPreference: loop) {
                try await file.keeping { try await loop.sleep(for: .seconds(60)) }
            }
            do {
                while disk.begun == 0 { try await loop.sleep(for: .milliseconds(1)) }
                command.cancel()
                try await loop.sleep(for: .milliseconds(10))
                disk.letGo()
                try await command.value
                return nil
            } catch { return error }
        }
        #expect((error ?? nil) is CancellationError)
        #expect(disk.begun == 2 && disk.most == 1)
        #expect(reports.all == [])
    }

    @Test("of writes that fail, the first and the last are reported", .timeLimit(.minutes(2))) func failures() throws {
        let (loop, disk, reports) = (try MainLoop(), Disk(failing: "No space left on device"), Reports())
        let file = try file(on: disk, loop, reports)
        _ = loop.run {
            await file.keeping { while disk.begun < 3 { try? await loop.sleep(for: .milliseconds(1)) } }
        }
        #expect(reports.all == Array(repeating: "cannot write the metrics: No space left on device (\(path))", count: 2))
        #expect(disk.begun > 3 && disk.most == 1)
    }
}
