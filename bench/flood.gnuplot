# The table, the memory and the honest client of a flood, by case. Called by bench/flood-plot.mjs, which defines:
#   data, picture   a file of columns, a block each case: second, entries, free MB, slowest request in ms; what to write
#   cases, names    the number of blocks, and what they are called
#   from, to, end   seconds: of the flood, and of all
set terminal svg size 1100,950 dynamic font 'sans-serif,13' background '#ffffff'
set output picture
set multiplot layout 3,1 margins 0.36,0.87,0.07,0.98 spacing 0,0.03
set style data lines
set grid ytics linecolor rgb '#dddddd'
set border 3
set tics nomirror out
set xrange [0:end]
set key off
do for [at in sprintf('%d %d', from, to)] {
  set arrow from first at, graph 0 to first at, graph 1 nohead dashtype 3 linecolor rgb '#666666' front
}
# Eight colours that people tell apart (Okabe and Ito), dashed from the second round on.
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

# A row of tiles each case, black where no request began. Its name has the colour of its line above.
do for [i = 1:cases] {
  set label i sprintf('%s%s', i > 8 ? '– – ' : '', names[i]) at graph -0.01, first i right noenhanced textcolor rgb colours[(i - 1) % 8 + 1]
  set object i rectangle from 0, i - 0.4 to end, i + 0.4 behind fillcolor rgb '#000000'
}
unset ylabel
unset grid
unset ytics
set format x '%g'
set xlabel 'seconds; the flood is between the dotted lines'
set yrange [cases + 0.5:0.5]
set logscale cb
set cbrange [10:3000]
set cbtics (10, 100, 1000, 'none in time' 3000)
set cblabel 'slowest honest request, ms'
set palette defined (0 '#e5f5e0', 0.4 '#a1d99b', 0.75 '#fdae61', 0.85 '#f46d43', 1 '#a50026')
set style fill solid noborder
plot for [i = 1:cases] data index (i - 1) using ($1 + 0.5):(i):(0.5):(0.4):4 with boxxyerror linecolor palette
unset multiplot
