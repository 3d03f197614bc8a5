// React hook: the versions of a file, from a client that the page makes once with `new Ikgate(...)`.

import { useCallback, useEffect, useState } from "react";

/**
 * Returns `versions` or `error`, and `reload`. Both are undefined until the first response.
 *
 * @param {import("ikgate").Ikgate} gateway
 * @param {string} fileId
 */
export function useVersions(gateway, fileId) {
  const [state, setState] = useState({});
  const [reloads, setReloads] = useState(0);
  const reload = useCallback(() => setReloads((count) => count + 1), []);

  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    gateway.versions(fileId, { signal }).then(
      ({ data }) => setState({ fileId, versions: data }),
      (error) => signal.aborted || setState({ fileId, error }),
    );
    // Another file was chosen, or the component is gone.
    return () => controller.abort();
  }, [gateway, fileId, reloads]);

  // The state of the previous file is not shown for the next one.
  const { versions, error } = state.fileId === fileId ? state : {};
  return { versions, error, reload };
}
