import QQNetwork

extension NetworkThread {
    /// Waits until the thread has looked at its connections again and again, and so has noticed what had happened to them before.
    public static func turns() async throws {
        for _ in 1...20 {
            await Task(executorPreference: executor) {}.value
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
