import Glibc
import QQCore
import QQLoop

extension Setup {
    /// Waits until stdout has taken the answer, or a signal comes.
    /// - Returns: the signal; nil if the answer was taken.
    /// - Throws: `.unavailable` if it cannot be written, or was not read by `deadline`.
    func delivered(_ signals: any StopSignals, until deadline: BootInstant = .distantFuture) async throws(CoordinationError) -> CInt? {
        Streams.settle(within: .milliseconds(1))
        guard !Streams.isIdle(STDOUT_FILENO) else {
            try Streams.check()
            return nil
        }
        let loop = loop
        let end = await withTaskGroup(of: Result<CInt?, CoordinationError>?.self) { group in
            group.addTask {
                do { try await Streams.delivered(on: loop) } catch let error as CoordinationError { return .failure(error) } catch {
                    return nil
                }
                return .success(nil)
            }
            group.addTask { (try? await signals.next()).map { .success($0) } }
            group.addTask {
                guard (try? await loop.sleep(until: deadline)) != nil else { return nil }
                return .failure(
                    CoordinationError(
                        .unavailable, "cannot write the answer", because: "it was not read before the lease expired", at: "stdout"))
            }
            defer { group.cancelAll() }
            for await end in group { if let end { return end } }
            return Result.success(nil)
        }
        return try end.get()
    }
}
