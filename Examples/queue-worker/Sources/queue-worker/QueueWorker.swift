import Foundation
import LeaderElection
import LeaderElectionLifecycle
import LeaderElectionLogging
import Logging
import ServiceLifecycle

/// A worker of which several run and one works.
@main struct QueueWorker {
    static func main() async {
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        do {
            let process = ProcessInfo.processInfo
            try await run(Arguments(process.arguments.dropFirst(), environment: process.environment))
        } catch let error as UsageError {
            FileHandle.standardError.write(Data("queue-worker: \(error.reason)\n\n\(Arguments.usage)\n".utf8))
            exit(64)
        } catch {
            FileHandle.standardError.write(Data("queue-worker: \(error)\n".utf8))
            exit(1)
        }
    }

    static func run(_ arguments: Arguments) async throws {
        let logger = Logger(label: "queue-worker")
        var options = ElectionOptions()
        options.identity = arguments.id
        options.ttl = arguments.ttl
        options.observers = [LogObserver(logger)]
        // Before the election: lease files need a folder that exists.
        let worker = arguments.id ?? "\(ProcessInfo.processInfo.processIdentifier)"
        let queue = try Queue(arguments.folder, worker: worker)
        let election = try Election(arguments.election, at: arguments.server, options: options)

        let service = ElectionService(election) { lease in
            let isDone = try await work(on: queue, lease, step: arguments.step, endsWhenEmpty: arguments.endsWhenEmpty)
            if isDone { election.stop() }
        }
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
    }

    /// Works until the task is cancelled, another worker has begun, or the queue is empty and that is to be the end.
    /// - Returns: whether it is the end.
    static func work(on queue: Queue, _ lease: Lease, step: Duration, endsWhenEmpty: Bool) async throws -> Bool {
        guard let token = lease.token else { throw NoToken() }
        try queue.log("leads", token, "stop-time=\(milliseconds(lease.stopTime))")
        // The handler shows when the order to stop has come, for those who want to know whether it came in time.
        return try await withTaskCancellationHandler {
            defer { try? queue.log("ended", token, "left=\(milliseconds(lease.remaining))") }
            do {
                while true {
                    guard let item = try queue.next() else {
                        if endsWhenEmpty { return true }
                        try await Task.sleep(for: .milliseconds(100))
                        continue
                    }
                    // The work. It looks at cancellation, as `Task.sleep` does: otherwise it could not be stopped.
                    try await Task.sleep(for: step)
                    // Before the write, and once more by the folder itself: this process could be stopped between these two lines.
                    try lease.checkStillHeld()
                    try await queue.finish(item, token)
                }
            } catch is LeadershipLost {
                try queue.log("lost", token, "left=\(milliseconds(lease.remaining))")
            } catch let error as Refused {
                try queue.log("refused", token, "by=\(error.last)")
            }
            // This worker goes back to waiting: an error would end `run`.
            return false
        } onCancel: {
            try? queue.log("cancelled", token, "left=\(milliseconds(lease.remaining))")
        }
    }

    private static func milliseconds(_ time: Duration) -> Int64 { Int64(time / .milliseconds(1)) }
}

/// The system has no fencing tokens.
struct NoToken: Error, CustomStringConvertible {
    var description: String { "this system grants no tokens, so the queue could not tell an old worker from a new one" }
}
