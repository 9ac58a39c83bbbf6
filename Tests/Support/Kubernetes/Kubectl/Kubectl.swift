import Glibc

/// kubectl, a client of the field.
public enum Kubectl {
    /// The program, found by the same rules as in `Scripts/need`: the one that `QQ_KUBECTL` names, Debian's, or an installed one; nil if there is none.
    public static let path: String? = {
        let given = getenv("QQ_KUBECTL").map { String(cString: $0) }
        let candidates = [
            given, packageFolder + "/.build/tools/kubernetes-client/usr/bin/kubectl", "/usr/bin/kubectl", "/usr/local/bin/kubectl",
        ]
        return candidates.compactMap(\.self).first { access($0, X_OK) == 0 }
    }()
}
