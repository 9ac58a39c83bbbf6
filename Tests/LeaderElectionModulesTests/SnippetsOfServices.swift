import LeaderElection
import LeaderElectionLifecycle
import LeaderElectionLogging
import LeaderElectionMetrics
import Logging
import ServiceLifecycle

// The Swift code of the articles and comments that needs the thin modules. `SnippetTests` compares the texts.

private struct Job: Sendable {}
private struct JobQueue: Sendable { func next() async throws -> Job? { nil } }
private func dispatch(_ job: Job, token: FencingToken?) async throws {}
private func work(_ lease: Lease) async throws {}

// MARK: GettingStarted.md

private func leadAsAService(queue: JobQueue, logger: Logger) async throws {
    let election = try Election("dispatcher", at: "nats://n1,n2,n3")
    let service = ElectionService(election) { lease in
        while let job = try await queue.next() {
            try lease.checkStillHeld()
            try await dispatch(job, token: lease.token)
        }
    }
    let group = ServiceGroup(services: [service], gracefulShutdownSignals: [.sigterm], logger: logger)
    try await group.run()
}

private func observe(_ options: inout ElectionOptions) {
    options.observers = [LogObserver(Logger(label: "dispatcher")), MetricsObserver()]
}

// MARK: Comments of the modules

private func group(_ election: Election, logger: Logger) async throws {
    let group = ServiceGroup(
        services: [ElectionService(election) { lease in try await work(lease) }], gracefulShutdownSignals: [.sigterm], logger: logger)
    try await group.run()
}

private func log() -> ElectionOptions {
    var options = ElectionOptions()
    options.observers = [LogObserver(Logger(label: "backup"))]
    return options
}

private func count() -> ElectionOptions {
    var options = ElectionOptions()
    options.observers = [MetricsObserver()]
    return options
}
