// A prebuilt JupyterLab extension without a build: the container that JupyterLab asks for, and one plugin in it.
// A notebook says in its metadata (brainscore_ops.session.stopped_at) which cell it was stopped at.
(() => {
  let shared;

  const latest = async name => {
    const versions = Object.values(shared[name]);
    const factory = await versions[versions.length - 1].get();
    return factory();
  };

  const plugin = ({ INotebookTracker, NotebookActions }) => ({
    id: 'brainscore-ops-stepping:plugin',
    description: 'Makes the cell active at which a run was stopped, and saves after each cell.',
    autoStart: true,
    requires: [INotebookTracker],
    activate: (app, tracker) => {
      const stoppedAt = panel => panel.model?.getMetadata('brainscore_ops')?.session?.stopped_at;

      // From what the step does, over the card, to its cell; where that is too much for the window, what fits above its cell.
      const show = async (notebook, index) => {
        const cell = notebook.widgets[index].node;
        await notebook.scrollToItem(index, 'center');
        notebook.widgets[Math.max(0, index - 2)].node.scrollIntoView({ block: 'start' });
        if (cell.getBoundingClientRect().bottom > notebook.node.getBoundingClientRect().bottom) {
          cell.scrollIntoView({ block: 'end' });
        }
      };

      const goToStop = async panel => {
        await Promise.all([panel.context.ready, panel.revealed]);
        const id = stoppedAt(panel);
        if (id === undefined) return;
        await app.restored;
        const notebook = panel.content;
        const index = notebook.widgets.findIndex(cell => cell.model.id === id);
        if (index < 0) return;
        notebook.activeCellIndex = index;
        notebook.deselectAll();
        app.shell.activateById(panel.id);
        // Cells get their heights one after the other: what was scrolled to moves for a moment.
        for (const milliseconds of [0, 200, 500, 1000]) {
          await new Promise(resolve => setTimeout(resolve, milliseconds));
          await show(notebook, index);
        }
      };

      tracker.widgetAdded.connect((_, panel) => void goToStop(panel));
      tracker.forEach(panel => void goToStop(panel));
      NotebookActions.executed.connect((_, { notebook }) => {
        const panel = tracker.find(candidate => candidate.content === notebook);
        if (panel && stoppedAt(panel) !== undefined) void panel.context.save();
      });
    }
  });

  const modules = {
    './extension': async () => {
      const made = plugin(await latest('@jupyterlab/notebook'));
      return () => ({ __esModule: true, default: made });
    }
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB['brainscore-ops-stepping'] = {
    init: scope => {
      shared = scope;
    },
    get: name => modules[name]()
  };
})();
