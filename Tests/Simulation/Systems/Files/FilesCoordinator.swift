import QQCore

@testable import QQFile

/// The real coordinator of lease files, on a machine of the model.
///
/// The boot clock of the world's machines never begins anew. After the machine was restarted, the coordinator is therefore given a clock of its own, and its
/// times are translated.
struct FilesCoordinator: Campaigning {
    private let real: FileCoordinator
    private let process: SimProcess
    private let machine: ModelMachine
    private let clock: BootedClock

    init(_ process: SimProcess, _ folder: ModelFolder, ttl: Duration) {
        self.process = process
        machine = ModelMachine(process, folder)
        clock = BootedClock(base: process.clock, offset: folder.bootOffset)
        let leases = LeaseFolder(path: "/leases", isDefault: false, machine: machine)
        real = FileCoordinator(
            server: Self.server, folder: leases, clock: clock, ownTTL: ttl, requestTimeout: FilesServer.requestTimeout, warn: { _ in })
    }

    private static let server: ServerURL = {
        do { return try ServerURL.file(path: "/leases") } catch { preconditionFailure("the path is absolute") }
    }()

    func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        try real.validate(name: name, identity: identity, ttl: ttl)
    }

    private func outside(_ grant: Grant) -> Grant { grant.extended(to: grant.deadline + clock.offset) }
    private func inside(_ grant: Grant) -> Grant { grant.extended(to: grant.deadline - clock.offset) }

    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        var request = request
        request.continuing = request.continuing.map { inside($0) }
        let answer: AcquireAnswer
        do throws(CoordinationError) { answer = try await real.acquire(request) } catch {
            if error.kind == .brokenData { process.world.note("finds a broken lease file", process) }
            throw error
        }
        switch answer {
        case .refused(let state): return .refused(state)
        case .granted(let grant, let lock):
            guard let lock = lock as? TermLivenessLock, let file = machine.openFile(number: lock.descriptor) else {
                return .granted(outside(grant), lock)
            }
            return .granted(outside(grant), ModelTermLock(lock, file))
        }
    }

    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        switch try await real.renew(inside(grant)) {
        case .renewed(let grant): .renewed(outside(grant))
        case .lost(let state): .lost(state)
        }
    }

    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer { try await real.release(inside(grant)) }

    func read(_ name: String) async throws(CoordinationError) -> ElectionState { try await real.read(name) }

    func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        try await real.waitForTurn(request, behind: blocker, until: deadline == .distantFuture ? deadline : deadline - clock.offset)
    }

    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? { await real.leaveQueue(request) }

    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        real.changes(of: names, withRenewals: withRenewals)
    }
}

/// The boot clock of a machine that was restarted.
private struct BootedClock: LeaseClock {
    let base: ProcessClock
    let offset: Duration

    func now() -> BootInstant { base.now() - offset }

    func sleep(until deadline: BootInstant) async throws {
        try await base.sleep(until: deadline == .distantFuture ? deadline : deadline + offset)
    }
}
