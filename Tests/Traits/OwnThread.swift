import Support
import Testing

/// Runs a test on a thread of its own, because it blocks its thread or needs the processor for long: see ``ThreadExecutor``. Tests with a sandbox have their
/// own threads anyway.
public struct OwnThread: SuiteTrait, TestTrait, TestScoping {
    public var isRecursive: Bool { true }

    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await ThreadExecutor.run { try await function() }
    }
}

extension Trait where Self == OwnThread {
    public static var ownThread: Self { OwnThread() }
}
