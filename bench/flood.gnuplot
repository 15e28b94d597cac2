# The table, the memory and the honest client of a flood, by case. Called by bench/flood-plot.mjs, which defines:
#   data    a file of columns, a block each case: second, entries, free MB, slowest request in ms
#   cases   the number of blocks; names[case] what they are called
#   from, to    seconds between which the flood was sent
set terminal svg size 1000,1150 dynamic enhanced font 'sans-serif,13' background '#ffffff'
set output picture
set multiplot layout 3,1 margins 0.09,0.98,0.21,0.98 spacing 0,0.03
set style data lines
set grid ytics linecolor rgb '#dddddd'
set border 3
set tics nomirror out
set xrange [0:end]
set key off
do for [at in sprintf('%d %d', from, to)] {
  set arrow from first at, graph 0 to first at, graph 1 nohead dashtype 3 linecolor rgb '#888888'
}
# Of eight and more colours that people tell apart (Okabe and Ito), dashed from the second round on.
array colours[8] = ['#000000', '#e69f00', '#56b4e9', '#009e73', '#0072b2', '#d55e00', '#cc79a7', '#999999']
do for [i = 1:cases] {
  set linetype i linecolor rgb colours[(i - 1) % 8 + 1] linewidth 2
  if (i > 8) { set linetype i dashtype 2 }
}

set format x ''
set ylabel 'entries of the table'
set format y '%.0s%c'
plot for [i = 1:cases] data index (i - 1) using 1:2 linetype i
set ylabel 'free memory, MB'
set format y '%g'
plot for [i = 1:cases] data index (i - 1) using 1:3 linetype i
set format x '%g'
set xlabel 'seconds; the flood is between the dotted lines'
set ylabel 'slowest honest request, ms'
set logscale y
set yrange [:4000]
set key at screen 0.5,0.01 center bottom maxrows 6 samplen 2
plot for [i = 1:cases] data index (i - 1) using 1:4 linetype i title names[i]
unset multiplot
