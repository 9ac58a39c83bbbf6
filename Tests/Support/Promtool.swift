import Glibc

/// Prometheus' own checks of metrics and rules.
public enum Promtool {
    /// The program, found by the same rules as in `Scripts/need`; nil if there is none.
    public static let path: String? = [
        packageFolder + "/.build/tools/prometheus/usr/bin/promtool", "/usr/bin/promtool", "/usr/local/bin/promtool",
    ].first { access($0, X_OK) == 0 }

    /// Words that run `promtool check metrics` on a file: it reads stdin.
    public static func checkMetrics(_ file: String) -> [String] {
        ["sh", "-c", #"exec "$0" check metrics <"$1""#, path ?? "promtool", file]
    }
}
