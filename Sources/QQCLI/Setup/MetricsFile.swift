import Glibc
import QQCore
import QQGRPC
import QQLoop

/// The file of `--metrics-file`: written again and again while a command runs, and at its end.
final class MetricsFile: Sendable {
    let counts = CallMetrics()
    private let path: String
    private let loop: MainLoop
    private let messages: Messages

    init(_ path: String, loop: MainLoop, messages: Messages) {
        self.path = path
        self.loop = loop
        self.messages = messages
    }

    /// Writes it until the task is cancelled. That it cannot be written is told once.
    func keepWritten() async {
        var isTold = false
        while (try? await loop.sleep(for: Defaults.metricsEvery)) != nil {
            do throws(CoordinationError) { try write() } catch {
                if !isTold { messages.note("\(error)") }
                isTold = true
            }
        }
    }

    /// Writes it for the last time.
    func finish() {
        do throws(CoordinationError) { try write() } catch { messages.note("\(error)") }
    }

    private func write() throws(CoordinationError) {
        do throws(SystemCallError) {
            // For collectors that run as somebody else: there is no secret in it.
            try AtomicFile.write(Array(counts.prometheus().utf8), to: path, mode: 0o644)
        } catch {
            throw CoordinationError(.unavailable, "cannot write the metrics", because: error.reason, at: path)
        }
    }
}
