import QQCore

/// Why an exec plugin gives no credential.
enum PluginFault: Error, Sendable, Hashable {
    case notFound
    /// The reason of the system.
    case notStarted(String)
    /// It must have a terminal, and there is none that it can have.
    case needsTerminal
    case exited(Int32, lastLine: String?)
    case died(signal: Int32)
    case timedOut(Duration)
    case tooMuchOutput
    /// The run was called off.
    case stopped
    /// The output is something else, as the end of a sentence.
    case noCredential(String)
    /// The output has another `apiVersion`.
    case otherVersion(String)
    case noStatus
    /// The status has neither a token nor a certificate.
    case emptyStatus
    /// The status has a certificate without its key, or the other way round.
    case halfCertificate

    /// The fault as an error for the user.
    func told(_ plugin: ExecPlugin) -> CoordinationError {
        let it = "the exec plugin \(plugin.name)"
        // A fault that can pass, such as that of a login service, must not end a wait; a wrong configuration does.
        let (kind, reason, hint): (CoordinationError.Kind, String, String?) =
            switch self {
            case .notFound where plugin.isPath:
                (.configuration, "\(it) does not exist: \(Printable.text(plugin.command))", plugin.installHint)
            case .notFound: (.configuration, "\(it) is not in PATH", plugin.installHint ?? "install it, or add its folder to PATH")
            case .notStarted(let reason): (.configuration, "\(it) cannot be run: \(reason)", nil)
            case .needsTerminal:
                (
                    .configuration, "\(it) needs a terminal (interactiveMode: Always), and cannot have one here",
                    "a command such as qq status lends it the terminal; guarded commands, keepalive, watch and sessions do not"
                )
            case .exited(let code, let line):
                (.unavailable, "\(it) ended with exit code \(code)" + (line.map { ": \($0)" } ?? ""), nil)
            case .died(let signal): (.unavailable, "\(it) died of signal \(signal)", nil)
            case .timedOut(let limit):
                (.unavailable, "\(it) ran longer than \(DurationText.brief(limit)) and was killed", "--timeout gives it more time")
            case .tooMuchOutput: (.configuration, "\(it) printed more than \(ExecCredential.largest >> 20) MiB and was killed", nil)
            case .stopped: (.unavailable, "\(it) was ended, because qq no longer needs its output", nil)
            case .noCredential(let reason):
                (.configuration, "\(it) gave no credential: \(reason)", "it must print an ExecCredential as JSON")
            case .otherVersion(let version):
                (
                    .configuration, "\(it) printed version \(version), and the kubeconfig says \(plugin.version.rawValue)",
                    "set apiVersion of the user's exec to the version that the plugin prints"
                )
            case .noStatus: (.configuration, "\(it) gave no credential: its output has no status", nil)
            case .emptyStatus: (.configuration, "\(it) gave no credential: the status in its output has neither token nor certificate", nil)
            case .halfCertificate:
                (.configuration, "\(it) gave only half a credential: clientCertificateData and clientKeyData belong together", nil)
            }
        return CoordinationError(kind, "cannot get a credential", because: reason, at: plugin.origin, hint: hint)
    }
}
