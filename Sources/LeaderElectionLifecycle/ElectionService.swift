public import LeaderElection
public import ServiceLifecycle

/// An election as a service of a `ServiceGroup`: it campaigns, runs its work while this process leads, and campaigns again after a loss.
///
/// Graceful shutdown stops the election. The task of the work is cancelled then, and the lease is released when the work has returned, so that the next
/// process leads at once. An error that the work throws ends the service, and so the group.
///
/// ```swift
/// let group = ServiceGroup(
///     services: [ElectionService(election) { lease in try await work(lease) }], gracefulShutdownSignals: [.sigterm], logger: logger)
/// try await group.run()
/// ```
///
/// A service that uses the election only to ask whether it leads needs no work: `ElectionService(election)`.
///
/// - Note: `ServiceGroup` takes services apart in the opposite order of its list. Put the election before the services that need it.
public struct ElectionService: Service, CustomStringConvertible {
    private let election: Election
    private let work: (@Sendable (Lease) async throws -> Void)?

    /// A service that runs work while this process leads.
    /// - Parameters:
    ///   - election: the election. The service is the only one to run it.
    ///   - work: runs in a task of its own for each term. It has to look at cancellation: see `Election.withLeadership`.
    public init(_ election: Election, work: @escaping @Sendable (Lease) async throws -> Void) {
        self.election = election
        self.work = work
    }

    /// A service that only leads, for code that asks `isLeader`, waits for leadership or reads events.
    public init(_ election: Election) {
        self.election = election
        work = nil
    }

    /// The name of the election, as it appears in the group's log.
    public var description: String { "election \(election.name)" }

    /// Runs the election until graceful shutdown, cancellation, or an error of the work.
    /// - Throws: the error of the work; `ElectionError` if the election cannot go on; `CancellationError` if the task was cancelled.
    public func run() async throws {
        try await withGracefulShutdownHandler {
            if let work { try await election.run(work) } else { try await election.run() }
        } onGracefulShutdown: {
            // Can come before `run`, which then returns immediately.
            election.stop()
        }
    }
}
