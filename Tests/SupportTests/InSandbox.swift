import Support
import Testing

/// Runs a test in a sandbox of its own. The test fails if a process that it started outlives it.
func inSandbox(
    _ load: Gate.Load = .light, sourceLocation: SourceLocation = #_sourceLocation, _ body: (Sandbox) async throws -> Void
) async throws {
    let left = try await withSandbox(load, body)
    #expect(left.isEmpty, "processes were left behind", sourceLocation: sourceLocation)
}
