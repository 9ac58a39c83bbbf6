import QQCore

/// The boot clock of a process's machine.
public final class ProcessClock: LeaseClock, @unchecked Sendable {
    // Used on the world's thread only, like everything of a world.
    private unowned let process: SimProcess

    init(_ process: SimProcess) { self.process = process }

    public func now() -> BootInstant { process.host.boot }

    public func sleep(until deadline: BootInstant) async throws {
        if process.isDead || Task.isCancelled { throw CancellationError() }
        guard process.host.boot < deadline else { return }
        let sleep = Sleep(process)
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { sleep.begin($0, until: deadline) }
        } onCancel: {
            sleep.end(.failure(CancellationError()))
        }
    }
}

/// A task that sleeps.
private final class Sleep: Pending, @unchecked Sendable {
    // Used on the world's thread only.
    private let process: SimProcess
    private var continuation: UnsafeContinuation<Void, any Error>?
    private var isOver = false

    init(_ process: SimProcess) { self.process = process }

    func begin(_ continuation: UnsafeContinuation<Void, any Error>, until deadline: BootInstant) {
        if isOver || process.isDead { return continuation.resume(throwing: CancellationError()) }
        self.continuation = continuation
        process.add(self)
        wake(at: deadline)
    }

    private func wake(at deadline: BootInstant) {
        // A process is not scheduled at once.
        let late = process.random.within(0...(.microseconds(300)))
        process.world.at(process.host.moment(of: deadline) + late) { [self] in
            if isOver { return }
            // A machine that was paused goes on with an earlier time.
            process.host.run { [self] in
                if isOver { return }
                if process.host.boot < deadline { wake(at: deadline) } else { end(.success(())) }
            }
        }
    }

    func end(_ result: Result<Void, any Error>) {
        guard !isOver else { return }
        isOver = true
        process.remove(self)
        continuation?.resume(with: result)
        continuation = nil
    }

    override func processEnded() { end(.failure(CancellationError())) }
}
