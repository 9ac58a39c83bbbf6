import Support
import Testing

/// Runs a test in a sandbox of its own, and fails it where something that it started lives on.
func inSandbox(
    _ load: Gate.Load = .light, sourceLocation: SourceLocation = #_sourceLocation, _ body: (Sandbox) async throws -> Void
) async throws {
    let left = try await withSandbox(load, body)
    #expect(left.isEmpty, "processes were left behind", sourceLocation: sourceLocation)
}
